"""Text files of depth sensors: rows of numbers, frames of joints, and coordinates in metres."""

import re

import numpy as np

from skeattn.datasets.missing import present
from skeattn.errors import DataError

_SEPARATORS = re.compile(r'[\s,;]+')
# The larger extent of a person, in metres: one who crouches or is seen in part, and one who stretches the arms.
SMALLEST, LARGEST = 0.2, 5.0
UNITS = {'metres': 1.0, 'millimetres': 0.001}


def read_rows(path: str, content: bytes, *widths: int) -> np.ndarray:
    """The rows of a text of numbers between blanks, tabs, commas or semicolons, ``(rows, width)``.

    Args:
        path: for messages.
        content: of the file; lines that start with ``%`` or ``#`` are comments.
        widths: the numbers of values a row that the format allows.

    Raises:
        DataError: a token is no number, rows have another length than these or than each other, or there are none.
    """
    try:
        lines = content.decode('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f'{path}: it is no text ({error})') from error
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        tokens = [token for token in _SEPARATORS.split(line) if token]
        if not tokens or tokens[0][0] in '%#':
            continue
        try:
            rows.append([float(token.replace('_', '?')) for token in tokens])  # float() would accept 1_000
        except ValueError as error:
            raise DataError(f'{path}: line {number} holds something that is no number ({error})') from error
        if len(tokens) not in widths or len(tokens) != len(rows[0]):
            expected = len(rows[0]) if len(rows[0]) in widths else ' or '.join(map(str, widths))
            raise DataError(f'{path}: line {number} has {len(tokens)} values, not {expected}')
    if not rows:
        raise DataError(f'{path}: it holds no rows of numbers')
    return np.array(rows)


def joint_rows(path: str, content: bytes, V: int, *widths: int) -> np.ndarray:
    """The frames of a text of a joint a row, ``(T, V, 3)``; values after x, y, z are dropped.

    Raises:
        DataError: see :func:`read_rows`; or the rows are no whole number of frames.
    """
    rows = read_rows(path, content, *widths)
    if len(rows) % V:
        raise DataError(f'{path}: {len(rows)} rows are no whole number of frames of {V} joints')
    return rows[:, :3].reshape(-1, V, 3)


def in_metres(path: str, keypoint: np.ndarray) -> np.ndarray:
    """Coordinates in metres, of a source in metres or millimetres: the unit is that in which a person is of human size.

    Args:
        path: for messages.
        keypoint: ``(M, T, V, 3)``, joints that are not detected at (0, 0, 0) or NaN.

    Returns:
        float32 of the same shape.

    Raises:
        DataError: a person is of human size in neither unit, or nobody is present.
    """
    seen = keypoint[present(keypoint)]
    seen = np.where(seen.any(axis=-1, keepdims=True), seen, np.nan)
    with np.errstate(all='ignore'):
        extents = np.fmax.reduce(seen, axis=1) - np.fmin.reduce(seen, axis=1)
        sizes = extents.max(axis=-1)
        size = float(np.median(sizes[np.isfinite(sizes)])) if np.isfinite(sizes).any() else float('nan')
        for factor in UNITS.values():
            if SMALLEST <= size * factor <= LARGEST:
                return np.asarray(keypoint * factor, np.float32)
    if not len(seen):
        raise DataError(f'{path}: no person is present, every value is zero or missing')
    raise DataError(f'{path}: a person is {size:.4g} large, which is no size in {" or ".join(UNITS)}')
