"""Your own data: a folder or zip of .npy, .csv, .txt or .json clips and a table labels.csv with a row for each

The table has a header. It must have ``name`` (the clip's file, without its suffix) and ``label`` (a number or a class
name, or empty for an unlabelled clip); it may have ``subject``, ``camera``, ``setup``, ``replication`` (integers) and
``split`` or ``split_NAME`` (train, test or val, or empty). A ``labels.npy`` holds one label a clip instead, in the
order of the clips' names. A clip is an array ``(T, V, C)``, ``(M, T, V, C)`` or, a frame a row, ``(T, M * V * C)``,
person by person and joint by joint; a ``.csv``, ``.tsv`` or ``.txt`` holds such rows, with or without a header, or a
joint a row ``(T * V, C)``; a ``.json`` nested lists, or ``{"keypoint": ..., "keypoint_score": ...}``.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.channels import AXES, BY_COUNT
from skeattn.datasets.converters.clips import parse_channels, read_layout, unflatten
from skeattn.datasets.converters.estimators import look_like
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.labels import lines_of
from skeattn.datasets.converters.members import Content
from skeattn.datasets.converters.persons import Choice
from skeattn.errors import DataError
from skeattn.reading import parse_array, parse_json
from skeattn.skeletons import SkeletonLayout

SUFFIXES = ('.npy', '.csv', '.json', '.txt', '.tsv')
SPARSE = 20
"""Frames between the first and the last number for each frame that is there, at most."""
_EMPTY = ('', 'nan', 'na', 'n/a', 'null', 'none')
_FOLDER = ClipFolder(SUFFIXES)


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str | os.PathLike[str] | SkeletonLayout,
    labels: str | os.PathLike[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
    channels: str | Sequence[str] | None = None,
    *,
    persons: str = 'order',
    max_persons: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Pack the clips that the table names, in its order.

    Args:
        source: folder, searched through, or zip archive; a clip in a folder within it is called ``folder/clip``.
        out: the packed set's folder.
        layout: the skeleton, by name or as a ``.json`` file that defines it.
        labels: the table or array of labels, where it is not ``labels.csv`` or ``labels.npy`` in the folder; ``'none'``
            packs every file as an unlabelled clip.
        classes: text file with one class a line, in the order of the labels; by default the class names of the table,
            sorted, or numbers.
        channels: names of the values of a joint, as ``'x,y,score'``; by default derived from their number; rows of
            numbers hold x, y, z.
        persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
        strict: stop at the first unusable clip or row.
        overwrite: replace a set at ``out``.

    Raises:
        DataError: the source or the labels are missing or of another form, no clip is usable, or with ``strict`` one is
            not.
        ConfigError: unknown layout or channels.
    """
    choice = Choice(persons, max_persons)
    if not Path(source).exists():
        raise DataError(f'{source} is no folder with clips')
    skeleton, named = read_layout(layout), parse_channels(channels)
    read = partial(read_clip, V=skeleton.num_joints, channels=named)
    _FOLDER.pack(read, source, out, layout, labels, classes, named, choice, strict=strict, overwrite=overwrite)


def read_clip(content: Content, V: int, channels: Sequence[str] | None) -> tuple[np.ndarray, None]:
    """:func:`parse` of a clip's only file; persons are not listed frame by frame."""
    ((path, text),) = content
    return parse(path, text, V, channels), None


def parse(path: str, content: bytes, V: int, channels: Sequence[str] | None = None) -> np.ndarray:
    """The keypoint ``(M, T, V, C)`` of one file.

    Args:
        path: for messages and, by its suffix, the format.
        content: of the file.
        V: number of joints.
        channels: what the values of a joint are; where it is None, rows of numbers hold x, y, z.

    Raises:
        DataError: the content is not of its format, or of another shape.
    """
    try:
        suffix = Path(path).suffix.lower()
        if suffix == '.json':
            array = _from_json(content, channels)
        else:
            array = _from_npy(content) if suffix == '.npy' else _from_text(content)
        if array.dtype.kind not in 'fiu':
            raise DataError(f'it holds {array.dtype}, not numbers')
        if array.ndim == 2:
            return _from_rows(array, V, channels)
        if array.ndim not in (3, 4):
            raise DataError(f'the shape {array.shape} is not (T, V, C), (M, T, V, C) or (T, M * V * C)')
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
    return array[None] if array.ndim == 3 else array


def _from_npy(content: bytes) -> np.ndarray:
    try:
        return parse_array(content)
    except ValueError as error:
        raise DataError(f'it is no .npy array, or a damaged or truncated one ({error})') from error


def _from_json(content: bytes, channels: Sequence[str] | None) -> np.ndarray:
    try:
        value = parse_json(content)
        if not isinstance(value, dict):
            return _numbers(value)
        keypoint, score = _numbers(value['keypoint']), value.get('keypoint_score')
        if score is None:
            return keypoint
        if channels is None:
            named = ','.join(BY_COUNT.get(keypoint.shape[-1], AXES))
            raise DataError(f'it has a "keypoint_score": name the values of a joint, --channels {named},score')
        return np.concatenate([keypoint, _numbers(score)[..., None]], axis=-1)
    except DataError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, MemoryError) as error:
        expected = 'nested lists of numbers of one length each, or such a "keypoint"'
        raise DataError(f'it is no JSON of {expected} ({error!r:.200}){look_like(content)}') from error


def _from_text(content: bytes) -> np.ndarray:
    lines = lines_of(content)
    rows: list[list[float]] = []
    for number, tokens in lines:
        values = [_number(token) for token in tokens]
        words = None in values and all(value is None or value != value for value in values)
        if words and number == lines[0][0] and len(lines) > 1:
            continue  # the header
        if None in values:
            column = values.index(None)
            raise DataError(f'row {number}, column {column + 1}: {tokens[column]!a:.30} is no number')
        if rows and len(values) != len(rows[0]):
            raise DataError(f'row {number} has {len(values)} values, those before have {len(rows[0])}')
        rows.append(values)  # type: ignore[arg-type]
    return np.array(rows, ndmin=2)


def _number(token: str) -> float | None:
    """A number, NaN for an empty cell; None for anything else."""
    token = token.strip().lower()
    if token in _EMPTY:
        return float('nan')
    try:
        return None if '_' in token else float(token.replace(',', '.'))
    except ValueError:
        return None


def _numbers(value: object) -> np.ndarray:
    """Nested lists as an array; NaN for null, also for a whole joint, person or frame that is null or empty."""
    value = _filled(value)
    array = np.array(value)
    if array.dtype == object:
        array = np.array(value, dtype=float)
    return array


def _filled(value: Any) -> Any:
    """Nested lists whose null and empty items have the shape of their neighbours, all of them NaN."""
    if not isinstance(value, list) or not any(isinstance(item, list) for item in value):
        return value
    items = [None if _is_blank(item) else _filled(item) for item in value]
    shape = np.shape(next((item for item in items if item is not None), ()))
    return [np.full(shape, np.nan).tolist() if item is None else item for item in items] if any(items) else value


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_blank, value)))


def _from_rows(rows: np.ndarray, V: int, channels: Sequence[str] | None) -> np.ndarray:
    """Rows of a frame each or of a joint each, also after their numbers, as ``(M, T, V, C)``.

    A last column that is empty throughout, where each line ends with a separator, does not count if the rest fits.

    Raises:
        DataError: the rows are none of these.
    """
    C, (count, width) = len(channels or AXES), rows.shape
    if V > 1 and count and count % V == 0 and C < width <= C + 2 and _number_joints(rows[:, : width - C], V):
        index, frames = rows[::V, 0], rows[:, width - C :].reshape(1, -1, V, C)
        return _at_their_numbers(frames, index) if (np.diff(index) > 0).all() else frames
    if width == C and V > 1 and count % V == 0 and count:
        return rows.reshape(1, -1, V, C)
    if width % (V * C) == 1 and width > 1 and len(rows) > 1 and (np.diff(rows[:, 0]) > 0).all():
        return _at_their_numbers(unflatten(rows[:, 1:], V, C), rows[:, 0])
    if width > C and width % (V * C) and np.isnan(rows[:, -1]).all():
        return _from_rows(rows[:, :-1], V, channels)
    if width == C and V > 1:
        raise DataError(f'{count} rows of {width} values are no whole number of frames of {V} joints, one a row')
    return unflatten(rows, V, C)


def _number_joints(index: np.ndarray, V: int) -> bool:
    """Whether columns before the values number the joints of each frame, the frames, or the frames and the joints."""
    frame, joint = index.reshape(-1, V, index.shape[1])[..., 0], index.reshape(-1, V, index.shape[1])[..., -1]
    by_frame = (frame == frame[:, :1]).all() and (np.diff(frame[:, 0]) > 0).all()
    by_joint = (joint == joint[0, 0] + np.arange(V)).all() and joint[0, 0] in (0, 1)
    return bool(by_frame and by_joint if index.shape[1] == 2 else by_frame or by_joint)


def _at_their_numbers(frames: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Frames ``(M, T, V, C)`` in the places that their rising numbers or times state; nobody is in those between.

    Two frames are usually one step apart; times that are uneven by less than half a step have no gap.

    Raises:
        DataError: nearly all frames are missing, so the numbers are of something else.
    """
    with np.errstate(over='ignore', invalid='ignore'):
        steps = np.diff(numbers)
        usual = np.sort(steps)[(len(steps) - 1) // 2] if len(steps) else 1
        apart = np.maximum(np.rint(steps / usual), 1)
        total = 1 + apart.sum()
    if not total <= SPARSE * len(numbers):
        raise DataError(
            f'the frame numbers go from {numbers[0]:g} to {numbers[-1]:g}, but there are {len(numbers)} frames; number '
            f'them by their order'
        )
    placed = np.zeros((len(frames), int(total), *frames.shape[2:]), frames.dtype)
    placed[:, np.concatenate([[0], np.cumsum(apart).astype(int)])] = frames
    return placed
