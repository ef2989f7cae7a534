"""Numeric arrays of MATLAB 5 files (.mat), read without trust: scipy's reader can crash on damaged bytes."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from skeattn.reading import LARGEST

_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: 'i1', 2: 'u1', 3: '<i2', 4: '<u2', 5: '<i4', 6: '<u4', 7: '<f4', 9: '<f8', 12: '<i8', 13: '<u8'}
_HEADER = 128


def read_array(content: bytes, name: str) -> np.ndarray:
    """Read the real array called ``name``.

    Raises:
        ValueError: not a little-endian MATLAB 5 file, damaged, or no such array.
    """
    if content[126:_HEADER] != b'IM':
        raise ValueError('not a little-endian MATLAB 5 file')
    for kind, data in _elements(content[_HEADER:]):
        if kind == _COMPRESSED:
            kind, data = next(_elements(_unpacked(data)), (0, b''))
        if kind != _MATRIX:
            continue
        parts = list(_elements(data))
        if len(parts) >= 3 and parts[2][1] == name.encode():
            return _array(parts)
    raise ValueError(f'no variable {name}')


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, content) of each data element; those of four bytes or fewer are within their tag."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise ValueError('truncated')
        kind, size = struct.unpack_from('<II', data, at)
        start = at + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        if start + size > len(data):
            raise ValueError('truncated')
        yield kind, data[start : start + size]
        at = start + size
        at += -at % 8 if kind != _COMPRESSED else 0


def _unpacked(data: bytes) -> bytes:
    try:
        stream = zlib.decompressobj()
        unpacked = stream.decompress(data, LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not stream.eof:
        raise ValueError('truncated or too large')
    return unpacked


def _array(parts: list[tuple[int, bytes]]) -> np.ndarray:
    """The array from its flags, dimensions, name and values."""
    (_, flags), (_, sizes), _, *values = parts
    shape = np.frombuffer(sizes, '<i4')
    if len(values) != 1 or values[0][0] not in _TYPES or len(flags) != 8 or flags[1] & 8 or (shape < 0).any():
        raise ValueError('the variable is not a real numeric array')
    kind, stored = values[0]
    return np.frombuffer(stored, _TYPES[kind]).reshape(shape, order='F')
