"""DeepLabCut: one .csv file a clip below three or four header rows, and a table labels.csv with a row for each

The header rows are called scorer, bodyparts and coords, with individuals between the first two where there are several
animals. Values are x, y and likelihood, or x, y, z. A clip is called by the part of its file's name before ``DLC_``.
"""

import csv
import io
from pathlib import PurePosixPath

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import Content, FileOf
from skeattn.datasets.converters.named import NamedClip
from skeattn.errors import DataError

_HEADERS = ('scorer', 'individuals', 'bodyparts', 'coords')
_VALUES = ('x', 'y', 'z', 'likelihood')


def file_of(inner: str) -> FileOf:
    """A clip a file; its name ends before ``DLC_``, which the network's name follows."""
    path = PurePosixPath(inner).with_suffix('')
    return FileOf(inner, path.with_name(path.name.split('DLC_')[0] or path.name).as_posix())


def read_clip(content: Content) -> NamedClip:
    """Keypoint ``(M, T, V, C)``, the individuals in the order of the file.

    Raises:
        DataError: the file is not of this form.
    """
    ((path, text),) = content
    try:
        rows = [row for row in csv.reader(io.StringIO(text.decode('utf-8-sig'), newline='')) if any(row)]
        header = {row[0].strip().lower(): row for row in rows[:4] if row[0].strip().lower() in _HEADERS}
        columns = _columns(header)
        values = _values(rows[len(header) :], len(rows[0]))
    except (UnicodeDecodeError, csv.Error, ValueError, IndexError, KeyError) as error:
        what = 'it is no file of DeepLabCut, numbers below the rows scorer, bodyparts and coords'
        raise DataError(f'{path}: {what} ({error!r:.100})') from error
    individuals = list(dict.fromkeys(individual for individual, _, _ in columns))
    joints = list(dict.fromkeys(joint for _, joint, _ in columns))
    channels = tuple(name for name in _VALUES if any(name == coord for _, _, coord in columns))
    if channels[:2] != AXES[:2] or set(channels) != {coord for _, _, coord in columns}:
        found = ', '.join(sorted({coord for *_, coord in columns}))
        raise DataError(f'{path}: the row coords holds {found!a:.80}, not x, y and likelihood or z')
    keypoint = np.full((len(individuals), len(values), len(joints), len(channels)), np.nan)
    for (individual, joint, coord), column in columns.items():
        keypoint[individuals.index(individual), :, joints.index(joint), channels.index(coord)] = values[:, column]
    keypoint[np.isnan(keypoint).all(axis=(2, 3))] = 0  # an individual who is not there
    if 'likelihood' in channels:
        keypoint[..., -1] = np.nan_to_num(keypoint[..., -1])
    return NamedClip(keypoint, tuple('score' if name == 'likelihood' else name for name in channels), tuple(joints))


def _columns(header: dict[str, list[str]]) -> dict[tuple[str, str, str], int]:
    """Column of each individual, body part and coordinate."""
    parts, coords = header['bodyparts'], header['coords']
    individuals = header.get('individuals', [''] * len(parts))
    columns = {
        (individual.strip(), part.strip(), coord.strip().lower()): number
        for number, (individual, part, coord) in enumerate(zip(individuals, parts, coords, strict=True))
        if number and coord.strip()
    }
    if len(columns) != sum(bool(coord.strip()) for coord in coords[1:]) or not columns:
        raise ValueError('a body part stands twice, or there is none')
    return columns


def _values(rows: list[list[str]], width: int) -> np.ndarray:
    """The numbers of the frames; NaN for an empty cell, and for text, such as the path of an image."""
    if not rows or {len(row) for row in rows} != {width}:
        raise ValueError(f'the rows below the header have not {width} values each')

    def number(cell: str) -> float:
        return float(cell) if cell.strip() else float('nan')

    first = next((i for i in range(1, width) if rows[0][i].strip() and not _is_text(rows[0][i])), width)
    return np.array([[float('nan')] * first + [number(cell) for cell in row[first:]] for row in rows])


def _is_text(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return True
    return False


convert = ClipFolder(('.csv',), file_of=file_of, named=read_clip).convert
