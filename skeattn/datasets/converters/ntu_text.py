"""The text of a .skeleton file of NTU RGB+D, read fast and exactly.

The text: number of frames; per frame the number of bodies; per body one line of ten values (the tracking id first),
one with the number of joints, and per joint twelve values, of which the first three are x, y, z in metres. The other
nine are counted but not parsed.
"""

import re
import warnings

import numpy as np

from skeattn.datasets.converters.bodies import Bodies
from skeattn.errors import DataError
from skeattn.skeletons import get_layout

_V = get_layout('ntu25').num_joints
_BODY_VALUES, _JOINT_VALUES = 10, 12
_BODY_LINES = 2 + _V
_BEYOND = 2.0**128 - 2.0**103  # the smallest number that float32 rounds to infinity
_NUMBER = re.compile(rb'[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?')
# A decimal this short is an integer below 2^53 over a power of ten that float64 holds exactly, so that one
# division rounds it correctly.
_LONGEST = 15
_POWERS = 10.0 ** np.arange(_LONGEST)


def read_bodies(path: str, content: bytes) -> Bodies:
    """Every body that a file lists, with coordinates correctly rounded to float64.

    Raises:
        DataError: truncated, not numeric, wrong joint count, excess values, or no body at all; gives the line.
    """
    return by_lines(content) or by_tokens(path, content)


def by_lines(content: bytes) -> Bodies | None:
    """:func:`read_bodies` of a text with the usual layout (one item per line, single blanks); None for any other.

    Twice as fast as :func:`by_tokens`, with the same result: most of the text is never converted to objects.
    """
    text = content.replace(b'\r\n', b'\n') if b'\r' in content else content
    if not text.isascii() or not text.endswith(b'\n'):
        return None
    chars = np.frombuffer(text, np.uint8)
    between = chars <= ord(' ')
    ends, blanks = np.flatnonzero(chars == ord('\n')), np.flatnonzero(chars == ord(' '))
    if np.count_nonzero(between) != len(ends) + len(blanks) or (between[1:] & between[:-1]).any() or between[0]:
        return None
    listing = _walk(text, ends.tolist())
    if listing is None:
        return None
    frames, places, heads = listing.T
    joints = heads[:, None] + np.arange(2, _BODY_LINES)
    blanks_before = np.searchsorted(blanks, ends)
    values = np.diff(blanks_before, prepend=0) + 1
    if (values[heads] != _BODY_VALUES).any() or (values[joints] != _JOINT_VALUES).any():
        return None
    # The first three values of a line stop at its first three blanks.
    stops = blanks[blanks_before[joints - 1][..., None] + np.arange(3)]
    starts = np.concatenate([ends[joints - 1][..., None], stops[..., :2]], axis=-1) + 1
    coordinates = _decimals(chars, starts.ravel(), stops.ravel())
    if coordinates is None:
        return None
    ids = [text[ends[head - 1] + 1 : blanks[blanks_before[head - 1]]].decode() for head in heads]
    return Bodies(int(text[: ends[0]]), frames, places, ids, coordinates.reshape(-1, _V, 3))


def _walk(text: bytes, ends: list[int]) -> np.ndarray | None:
    """``(B, 3)``: frame, place and first line of each body; None if the lines have a different layout."""

    def count(line: int) -> int:
        """The only value of a line, -1 if it is not a plausible count."""
        value = text[ends[line - 1] + 1 if line else 0 : ends[line]]
        return int(value) if len(value) < 10 and value.isdigit() else -1

    bodies: list[tuple[int, int, int]] = []
    T, at = count(0), 1
    for frame in range(min(T, len(ends))):
        listed = count(at) if at < len(ends) else -1
        after = at + 1 + listed * _BODY_LINES
        if listed < 0 or after > len(ends):
            return None
        for place, head in enumerate(range(at + 1, after, _BODY_LINES)):
            if count(head + 1) != _V:
                return None
            bodies.append((frame, place, head))
        at = after
    return np.array(bodies) if bodies and at == len(ends) and len(ends) >= T else None


def _decimals(chars: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray | None:
    """The numbers at the given positions, all at once; None if one is too long, not a number or beyond float32."""
    lengths = stops - starts
    width = int(lengths.max())
    if width > _LONGEST:
        return None
    # (width, numbers), right-aligned; zero to the left of a number.
    place = np.arange(width, dtype=np.uint8)[:, None]
    aligned = np.lib.stride_tricks.sliding_window_view(chars, width)[stops - width].T
    aligned = np.ascontiguousarray(aligned) * (place >= (width - lengths).astype(np.uint8))
    digits = aligned - np.uint8(ord('0'))
    is_digit, is_point = digits < 10, aligned == ord('.')
    negative = chars[starts] == ord('-')
    points, count = is_point.sum(axis=0, dtype=np.uint8), is_digit.sum(axis=0, dtype=np.uint8)
    # Number of digits right of the point; digits left of it are one place too high for an integer.
    scale = _POWERS[np.where(points == 1, width - 1 - (is_point * place).sum(axis=0, dtype=np.uint8), 0)]
    digits *= is_digit
    total = _POWERS[width - 1 :: -1].copy() @ digits.astype(float)
    whole = total - 9 * scale * np.where(points == 1, np.floor(total / (10 * scale)), 0)
    values = whole / scale
    np.negative(values, out=values, where=negative)
    for i in np.flatnonzero((count + points + negative != lengths) | (points > 1) | (count == 0)):
        token = chars[starts[i] : stops[i]].tobytes()  # with an exponent, or not a number
        if not _NUMBER.fullmatch(token):
            return None
        values[i] = float(token)
    return values if (np.abs(values) < _BEYOND).all() else None


def by_tokens(path: str, content: bytes) -> Bodies:
    """:func:`read_bodies` of any text whose values are in the right order, with any spacing.

    Raises:
        DataError: see :func:`read_bodies`.
    """
    try:
        tokens = content.decode('ascii').split()
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise DataError(f'{path}, line {line}: not a number, the file is not text') from None
    if not tokens:
        raise DataError(f'{path} is empty')
    T = _count(path, content, tokens, 0, 'frames')
    places, starts, at = [], [], 1
    for frame in range(T):
        where = f'in frame {frame + 1} of {T}'
        listed = _count(path, content, tokens, at, f'bodies {where}')
        at += 1
        for place in range(listed):
            joints = _count(path, content, tokens, at + _BODY_VALUES, f'joints {where}')
            if joints != _V:
                line = _line(content, at + _BODY_VALUES)
                raise DataError(f'{path}, line {line}: {joints} joints {where}, not {_V}')
            at += _BODY_VALUES + 1
            starts.append(at)
            places.append((frame, place))
            at += _V * _JOINT_VALUES
            if at > len(tokens):
                raise DataError(f'{path} is truncated: it ends {where}, body {place + 1}')
    if at != len(tokens):
        line = _line(content, at)
        raise DataError(f'{path}, line {line}: {len(tokens) - at} value(s) after the last of {T} frames')
    if not starts:
        raise DataError(f'{path}: no body in any of the {T} frames')
    frames, order = np.array(places).T
    ids = [tokens[start - _BODY_VALUES - 1] for start in starts]
    return Bodies(T, frames, order, ids, _joints(path, content, tokens, starts))


def _joints(path: str, content: bytes, tokens: list[str], starts: list[int]) -> np.ndarray:
    """x, y and z of the bodies whose first joints are at ``starts``, ``(B, 25, 3)``."""
    coordinates: list[str] = []
    for start in starts:
        stop = start + _V * _JOINT_VALUES
        for axis in range(3):
            coordinates += tokens[start + axis : stop : _JOINT_VALUES]
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)
        try:  # much faster than float() on each
            values = np.fromstring(' '.join(coordinates), sep=' ')
        except (ValueError, DeprecationWarning):
            values = np.empty(0)
    # There are more if '1.2.3' was read as two numbers.
    if len(values) != len(coordinates) or not (np.abs(values) < _BEYOND).all():
        bad = next(i for i, token in enumerate(coordinates) if not _is_coordinate(token))
        body, joint = divmod(bad, 3 * _V)
        line = _line(content, starts[body] + joint % _V * _JOINT_VALUES)
        raise DataError(
            f'{path}, line {line}: {coordinates[bad][:20]} is not a coordinate, which must be a finite number'
        )
    return values.reshape(-1, 3, _V).transpose(0, 2, 1)


def _is_coordinate(token: str) -> bool:
    try:
        return '_' not in token and abs(float(token)) < _BEYOND
    except ValueError:
        return False


def _count(path: str, content: bytes, tokens: list[str], at: int, what: str) -> int:
    if at >= len(tokens):
        raise DataError(f'{path} is truncated: it ends before the number of {what}')
    token = tokens[at]
    if not token.isdigit():
        raise DataError(f'{path}, line {_line(content, at)}: {token[:20]} is not a number of {what}')
    # Each item has at least one value, so that a wrong count is noticed before memory is allocated.
    if len(token) > 9 or int(token) > len(tokens) - at - 1:
        announced = f'line {_line(content, at)} announces {token[:20]} {what}'
        raise DataError(f'{path} is truncated: {announced}, more than follow')
    return int(token)


def _line(content: bytes, at: int) -> int:
    """The line, from 1, of token ``at``."""
    for number, line in enumerate(content.decode('ascii').split('\n'), 1):
        at -= len(line.split())
        if at < 0:
            return number
    raise IndexError(at)
