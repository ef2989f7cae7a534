"""The .npz file of CTR-GCN: x_train, x_test (N, T, M * V * C) and y_train, y_test, one-hot

A frame's values are ordered by person, then joint. Clips are padded with empty frames at the end, which are removed.
They have no names; they are numbered ``train_00000`` and so on.
"""

import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters.clips import (
    TESTS,
    TRAINS,
    Read,
    Table,
    add_clips,
    parse_channels,
    read_layout,
    unflatten,
    without_padding,
)
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import DataError
from skeattn.reading import check_size, read_header
from skeattn.renaming import renamed_arguments
from skeattn.skeletons import SkeletonLayout

_SIDES = {'train': TRAINS, 'test': TESTS}


@renamed_arguments(protocol='split')
def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str | SkeletonLayout = 'ntu25',
    split: str = 'split',
    classes: str | os.PathLike[str] | None = None,
    channels: str | Sequence[str] | None = None,
    *,
    persons: str = 'order',
    max_persons: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Pack the file's clips, one in memory at a time.

    Args:
        source: the ``.npz`` file.
        out: the packed set's folder.
        layout: the skeleton, by name or as a ``.json`` file that defines it.
        split: name of the split into training and test clips.
        classes: text file with one class per line; by default numbers, as many as a row of labels has values.
        channels: names of a joint's values, as ``'x,y,score'``; by default x, y, z.
        persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
        strict: stop at the first unusable clip.
        overwrite: replace a set at ``out``.

    Raises:
        DataError: the file is damaged or has a different structure, no clip is usable, or with ``strict`` one is not.
        ConfigError: unknown layout or channels.
    """
    choice = Choice(persons, max_persons)
    source, skeleton, named = Path(source), read_layout(layout), parse_channels(channels) or AXES
    one_hot = {side: _one_hot(source, f'y_{side}') for side in _SIDES}
    labels = {side: _labels(rows) for side, rows in one_hot.items()}
    names = {side: [f'{side}_{i:05d}' for i in range(len(numbers))] for side, numbers in labels.items()}
    sides = {name: trains for side, trains in _SIDES.items() for name in names[side]}
    table = Table([*sides], [label for side in _SIDES for label in labels[side]], {split: sides}, classes)

    def read() -> Iterator[tuple[str, str, Read]]:
        number = 0
        for side in _SIDES:
            for i, rows in enumerate(_clips(source, f'x_{side}', len(names[side]))):
                parse = partial(_clip, rows, skeleton.num_joints, len(named), table.row(number))
                yield names[side][i], f'x_{side}[{i}]', parse
                number += 1

    dataset = Path(out).name
    numbered = [f'class {i}' for i in range(max(rows.shape[1] for rows in one_hot.values()))]
    names_of_classes = numbered if classes is None else table.class_names()
    with PackedWriter(
        out, dataset, skeleton, names_of_classes, table.splits(), overwrite, named, table.columns
    ) as writer:
        add_clips(writer, str(source), read(), len(sides), choice, strict=strict)


def clips_of(source: str | os.PathLike[str], V: int, C: int) -> Iterator[tuple[str, Read]]:
    """Name and reader of each clip, without a conversion.

    Args:
        source: the ``.npz`` file.
        V: number of joints.
        C: number of a joint's values.

    Raises:
        DataError: the file is damaged or has a different structure.
    """
    source = Path(source)
    for side in _SIDES:
        labels = _labels(_one_hot(source, f'y_{side}'))
        for i, rows in enumerate(_clips(source, f'x_{side}', len(labels))):
            yield f'{side}_{i:05d}', partial(_clip, rows, V, C, {'label': labels[i]})


def _clip(rows: np.ndarray, V: int, C: int, columns: dict[str, int]) -> tuple[np.ndarray, dict[str, int]]:
    if columns['label'] < 0:
        raise DataError('its row of labels is not one-hot: one 1, else 0')
    return without_padding(unflatten(rows, V, C)), columns


def _one_hot(source: Path, key: str) -> np.ndarray:
    with _member(source, key) as (file, shape, dtype):
        rows = _read(source, key, file, shape, dtype)
    if rows.ndim != 2 or not rows.size:
        raise DataError(f'{source}: {key} has the shape {shape}, not (clips, classes)')
    return rows


def _labels(rows: np.ndarray) -> list[int]:
    """The position of the 1 in each row, -1 where a row is not one-hot."""
    one_hot = (rows == 1).sum(axis=1) == 1
    one_hot &= (rows != 0).sum(axis=1) == 1
    return np.where(one_hot, rows.argmax(axis=1), -1).tolist()


def _clips(source: Path, key: str, count: int) -> Iterator[np.ndarray]:
    """The clips ``(T, M * V * C)`` in turn."""
    with _member(source, key) as (file, shape, dtype):
        if len(shape) != 3 or shape[0] != count:
            raise DataError(f'{source}: {key} has the shape {shape}, not ({count} clips, frames, values)')
        for _ in range(count):
            yield _read(source, key, file, shape[1:], dtype)


@contextmanager
def _member(source: Path, key: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype]]:
    """An array of the file, opened after its header, with shape and type; numpy would read the whole array."""
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f'{source} is not an .npz file, or a damaged or truncated one ({error})') from error
    with archive:
        if f'{key}.npy' not in archive.namelist():
            keys = ', '.join(name.removesuffix('.npy') for name in archive.namelist()[:8])
            raise DataError(f'{source} has no array {key}, but {keys!a}')
        try:
            file = archive.open(f'{key}.npy')
            shape, fortran, dtype = read_header(file)
        except Exception as error:  # a damaged header fails in many ways
            raise DataError(f'{source}: {key} is not an array, or a damaged one ({error!r})') from error
        if fortran or dtype.kind not in 'fiu':
            raise DataError(f'{source}: {key} holds {dtype} {shape}, not numbers, clip by clip')
        with file:
            yield file, shape, dtype


def _read(source: Path, key: str, file: IO[bytes], shape: Any, dtype: np.dtype) -> np.ndarray:
    """The next array of a shape."""
    size = math.prod(shape) * dtype.itemsize
    try:
        check_size(size)
        content = file.read(size)
    except Exception as error:  # zlib.error is not a ValueError
        raise DataError(f'{source}: {key}: {error}') from error
    if len(content) != size:
        raise DataError(f'{source}: {key} is truncated')
    return np.frombuffer(content, dtype).reshape(shape)
