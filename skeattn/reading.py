"""Reading of files that may be damaged or hostile: sizes that they declare are checked before memory is taken.

Whatever is wrong with a file becomes a ValueError, which the caller turns into an error that names the file.
"""

import io
import json
import math
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

LARGEST = 1 << 28
"""Bytes of a single file of a clip, also unpacked: far more than hours of any skeleton."""
LONGEST_NAME = 4096
"""Characters of a text in an array."""

Header = tuple[tuple[int, ...], bool, np.dtype]


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, is not UTF-8, or is nested too deeply.
    """
    try:
        return json.loads(content.decode('utf-8-sig') if isinstance(content, bytes) else content)
    except RecursionError:
        raise ValueError('it is nested too deeply') from None


def read_json(path: str | os.PathLike[str]) -> Any:
    """The value of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: see :func:`parse_json`; or it is larger than :data:`LARGEST`.
    """
    check_size(Path(path).stat().st_size)
    return parse_json(Path(path).read_bytes())


def check_size(size: int, largest: int = LARGEST) -> None:
    """Refuse a file, or a member of an archive, of so many bytes.

    Raises:
        ValueError: it is larger than allowed.
    """
    if size > largest:
        raise ValueError(f'it has {size:,} bytes, and no more than {largest:,} are read')


def check_stored(path: str | os.PathLike[str], archive: zipfile.ZipFile) -> None:
    """Refuse an archive that unpacks to more bytes than it has; what torch and numpy write is not compressed.

    Raises:
        ValueError: it does.
    """
    declared, size = sum(info.file_size for info in archive.infolist()), os.stat(path).st_size
    if declared > size:
        raise ValueError(f'its parts claim {declared:,} bytes, more than the {size:,} of the file')


def read_header(file: IO[bytes]) -> Header:
    """Shape, order and type of a ``.npy`` file, which is left behind its header.

    Raises:
        ValueError: it has none.
    """
    try:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(file)]
        shape, fortran, dtype = read(file)
    except Exception as error:  # a damaged header fails in many ways
        raise ValueError(f'no header of an array ({error!r:.100})') from error
    if any(size < 0 for size in shape):
        raise ValueError(f'it declares the shape {shape}')
    return shape, fortran, dtype


def parse_array(content: bytes) -> np.ndarray:
    """The array of a ``.npy`` file.

    Raises:
        ValueError: it is none, or its header does not fit its bytes.
    """
    file = io.BytesIO(content)
    shape, fortran, dtype = read_header(file)
    _check_bytes(shape, dtype, len(content) - file.tell())
    array = np.frombuffer(content, dtype, math.prod(shape), file.tell()) if math.prod(shape) else np.empty(0, dtype)
    if dtype.kind == 'U':
        check_characters(array)
    return array.reshape(shape, order='F' if fortran else 'C').copy()


def check_characters(array: np.ndarray) -> None:
    """Refuse texts of numbers that are no characters; numpy makes strings of them, on which Python fails anywhere.

    Raises:
        ValueError: there are any.
    """
    numbers = np.frombuffer(array.tobytes(), np.dtype('u4').newbyteorder(array.dtype.byteorder))
    if ((numbers > sys.maxunicode) | (numbers >> 11 == 0xD800 >> 11)).any():
        raise ValueError('a text holds numbers that are no characters')


def read_arrays(
    path: str | os.PathLike[str], shapes: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz`` file, each compared with its checksum.

    Args:
        path: the file.
        shapes: those that the arrays must have; others are not read. By default all are read, of an archive that is not
            compressed.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, damaged, lacks an array, or declares a size that does not fit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if shapes is None:
                check_stored(path, archive)
            names = [name.removesuffix('.npy') for name in archive.namelist()] if shapes is None else list(shapes)
            return {name: _member(archive, name, (shapes or {}).get(name)) for name in names}
    except (OSError, ValueError):
        raise
    except Exception as error:  # of zipfile and zlib, which have errors of their own
        raise ValueError(f'{error or type(error).__name__}') from error


def _member(archive: zipfile.ZipFile, name: str, expected: tuple[int, ...] | None) -> np.ndarray:
    try:
        info = archive.getinfo(f'{name}.npy')
    except KeyError:
        raise ValueError(f'it has no array {name}') from None
    with archive.open(info) as file:
        shape, _, dtype = read_header(file)
        start = file.tell()
    if expected is not None and shape != expected:
        raise ValueError(f'{name} has the shape {shape}, not {expected}')
    if expected is not None and dtype.kind not in 'biufSU':
        raise ValueError(f'{name} holds {dtype}, neither numbers nor texts')
    if dtype.kind in 'SU' and dtype.itemsize > 4 * LONGEST_NAME and expected is not None:
        raise ValueError(f'{name} declares texts of {dtype.itemsize} bytes')
    _check_bytes(shape, dtype, info.file_size - start)
    return parse_array(archive.read(info))


def _check_bytes(shape: tuple[int, ...], dtype: np.dtype, size: int) -> None:
    declared = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError('an array of Python objects, which could run code')
    if declared != size:
        raise ValueError(f'an array of {dtype} {shape} has {declared:,} bytes, and there are {size:,}')
