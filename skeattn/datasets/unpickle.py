"""Read pickles of arrays and plain containers without running code from them.

A pickle is a program that names functions and calls them. Here it can name only those that rebuild numpy arrays, and
receives substitutes for them, defined below: numpy's code, which trusts its input, never receives the file's
description of an array before it is checked.
"""

import math
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from skeattn.errors import DataError
from skeattn.reading import check_characters

_NUMBERS_AND_TEXT = re.compile(r'[<>|=]?(b1|[iu][1248]|f[248]|[SU]\d{1,6})')


def load_plain(path: str | os.PathLike[str]) -> Any:
    """Load a pickle of any protocol, written by Python 2 or 3 and any numpy.

    Args:
        path: the file; it is read completely.

    Returns:
        numbers, text, bytes, None, lists, tuples, dicts, sets, and numpy arrays (read-only) and scalars of numbers or
        text.

    Raises:
        DataError: the file is missing, damaged, or contains or names anything else.
    """
    path = Path(path)
    try:
        with open(path, 'rb') as file:
            return _Plain().convert(_Unpickler(_Bounded(file, path.stat().st_size)).load())
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error}') from error
    except _Refused as error:
        raise DataError(
            f'{path} is refused: it holds {error}, and only numbers, text, containers and numpy arrays of these are '
            f'read, since anything else could run code; if you trust the file, save it again with these alone'
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f'{path} is not a pickle, or a damaged one ({type(error).__name__}: {error})') from error


class _Refused(Exception):
    pass


class _Bounded:
    """A file whose reads never allocate more bytes than it has."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, count: int) -> bytes:
        if count > self._left:
            raise EOFError('unexpected end')
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline()
        self._left -= len(line)
        return line


class _Unpickler(pickle._Unpickler):  # in Python: the one in C takes as much memory as a damaged file claims
    dispatch = pickle._Unpickler.dispatch.copy()  # type: ignore[misc]

    def __init__(self, file: _Bounded) -> None:
        super().__init__(file, encoding='latin1')  # the bytes of arrays that Python 2 wrote

    def find_class(self, module: str, name: str) -> Any:
        function = _NAMES.get((module.replace('numpy._core', 'numpy.core'), name))
        if function is None:
            raise _Refused(f'{module}.{name}')
        return _Named(function)

    def get_extension(self, code: int) -> None:
        raise _Refused(f'a name of the copyreg registry ({code})')

    def load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), 'little')  # type: ignore[attr-defined]
        self.append(bytearray(self.read(size)))  # type: ignore[attr-defined]

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8  # type: ignore[assignment]


class _Named:
    """A function that a pickle may only call; it cannot, for example, set its attributes."""

    __slots__ = ('_function',)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise _Refused('a changed function')


class _DType:
    """An array's type as the pickle describes it."""

    __slots__ = ('dtype',)

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not _NUMBERS_AND_TEXT.fullmatch(code):
            raise _Refused(f'an array of type {code!r}')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subarray, names, fields, *_ = state
        if (subarray, names, fields) != (None, None, None):
            raise _Refused('an array of records')
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array under construction: first empty, then with its state."""

    __slots__ = ('array',)

    def __init__(self, *_: Any) -> None:
        self.array = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        self.array = _from_bytes(content, kind, shape, 'F' if fortran else 'C')


def _from_bytes(content: Any, kind: Any, shape: Any, order: Any = 'C', axes: Any = None) -> np.ndarray:
    dtype = _dtype_of(kind)
    content = content.encode('latin1') if isinstance(content, str) else bytes(content)
    if not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 32:
        raise ValueError(f'shape {shape!r}')
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f'{len(content)} bytes for an array of shape {shape} and type {dtype}')
    array = np.frombuffer(content, dtype)
    if dtype.kind == 'U':
        check_characters(array)
    if order == 'K':  # numpy 2.3 on: axes in a different order than in memory
        array = array.reshape(shape).transpose(axes)
    else:
        array = array.reshape(shape, order=order)
    # In numpy, a bool other than 0 and 1 is undefined.
    return array.view(np.uint8) != 0 if dtype.kind == 'b' else array


def _scalar(kind: Any, content: Any) -> Any:
    return _from_bytes(content, kind, ())[()]


def _dtype_of(kind: Any) -> np.dtype:
    if not isinstance(kind, _DType):
        raise ValueError('an array without a type')
    return kind.dtype


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes as protocols before 3 write them."""
    if (type(text), encoding) != (str, 'latin1'):
        raise _Refused('text in another encoding')
    return bytes(text, 'latin1')


def _bytes(*arguments: Any) -> bytes:
    """Empty bytes in these protocols."""
    if arguments:
        raise _Refused('a call of bytes()')
    return b''


def _bytearray(*arguments: Any) -> bytearray:
    content, *encoding = arguments
    return bytearray(_encode(content, *encoding) if encoding else memoryview(content))


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _DType,
    ('numpy.core.multiarray', '_reconstruct'): _Array,
    ('numpy.core.multiarray', 'scalar'): _scalar,
    ('numpy.core.numeric', '_frombuffer'): _from_bytes,
    ('_codecs', 'encode'): _encode,
    **{
        (module, name): function
        for module in ('builtins', '__builtin__')
        for name, function in (('set', set), ('frozenset', frozenset), ('bytes', _bytes), ('bytearray', _bytearray))
    },
}


_VALUES = (type(None), bool, int, float, str, bytes, bytearray, np.ndarray, np.generic)
_CONTAINERS = (list, tuple, dict, set, frozenset)


class _Plain:
    """Replaces substitutes by arrays; every container is converted once, however often it occurs."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}

    def convert(self, value: Any) -> Any:
        if isinstance(value, _Array):
            return value.array
        if isinstance(value, _VALUES):
            return value
        if type(value) not in _CONTAINERS:
            raise _Refused('a type, a function or a buffer')
        if id(value) not in self._done:
            self._done[id(value)] = None  # still None if met again below: it contains itself
            self._done[id(value)] = self._converted(value)
        converted = self._done[id(value)]
        if converted is None:
            raise _Refused('a container that contains itself')
        return converted

    def _converted(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.convert(key): self.convert(item) for key, item in value.items()}
        return type(value)(self.convert(item) for item in value)
