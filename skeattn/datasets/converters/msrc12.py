"""MSRC-12 Kinect Gesture (Fothergill et al., CHI 2012): a recording of one gesture, repeated, in each file, 20 joints.

The files are named ``PI_J_G_pSS.csv`` (instructions, gesture, subject), each with a ``.tagstream`` of the same name. A
row is a frame: its time in microseconds and 20 x (x, y, z, 0 or 1). A tag is the moment at which a gesture is
recognised; the set has no first and last frames. A clip is what lies nearer to its tag than to any other.
"""

import re
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from skeattn.datasets.converters.clips import Clip, absent
from skeattn.datasets.converters.segments import Listed, SegmentFormat
from skeattn.datasets.converters.sensor_text import in_metres, read_rows
from skeattn.datasets.converters.source import Source
from skeattn.datasets.splits import SPLITS
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import DataError

ACTIONS = (
    'lift outstretched arms', 'duck', 'push right', 'goggles', 'wind it up', 'shoot', 'bow', 'throw', 'had enough',
    'change weapon', 'beat both', 'kick',
)  # fmt: skip
_NAME = re.compile(r'p(\d+)_(\d+)_(\d+)a?_p(\d+)$', re.IGNORECASE)
_TAG = re.compile(r'\s*(\d+)\s*;\s*G(\d+)\b', re.IGNORECASE)
_TICKS = 49.875  # of the tags' clock in a microsecond, as the authors' loader converts them
_OUTSIDE = 2_000_000  # microseconds that a tag may lie outside its recording


def list_clips(source: Source, writer: PackedWriter) -> Listed:
    """The tagged gestures of all recordings; a recording without usable tags is one clip that cannot be read."""
    tags = {Path(member).stem: member for member in source if member.lower().endswith('.tagstream')}
    read = lru_cache(2)(partial(_recording, source))
    clips: Listed = []
    for member in (member for member in source if member.lower().endswith('.csv')):
        stem = Path(member).stem
        try:
            gesture, columns = _columns(member)
            if stem not in tags:
                raise DataError(f'there is no file {stem}.tagstream')
            times = _times(tags[stem], source.read(tags[stem]), gesture)
        except DataError as error:
            clips.append((stem, Path(member).name, partial(absent, str(error))))
            continue
        edges = [-np.inf, *((times[1:] + times[:-1]) / 2), np.inf]
        for i, time in enumerate(times):
            instance = partial(read_clip, read, member, columns, float(time), edges[i], edges[i + 1])
            clips.append((f'{stem}_{i:02d}', f'{Path(member).name}, gesture {i + 1}', instance))
    return clips


def _columns(member: str) -> tuple[int, dict[str, int]]:
    """The gesture of a file by its name, and the columns of its clips."""
    match = _NAME.match(Path(member).stem)
    if match is None:
        raise DataError('the name is not of the form PI_J_G_pSS.csv')
    *instructions, gesture, subject = map(int, match.groups())
    if not 1 <= gesture <= len(ACTIONS):
        raise DataError(f'gesture {gesture} is outside 1..{len(ACTIONS)}')
    return gesture, {'label': gesture - 1, 'subject': subject, 'setup': 10 * instructions[0] + instructions[1]}


def _times(path: str, content: bytes, gesture: int) -> np.ndarray:
    """The times of the tags in microseconds, ascending."""
    header, *lines = content.decode('utf-8-sig', 'replace').strip().splitlines() or ['']
    if not header.replace(' ', '').lower().startswith('xqpctick;tag'):
        raise DataError(f'{path}: its first line is {header!a:.40}, not "XQPCTick;Tag"')
    matches = [_TAG.match(line) for line in lines if line.strip()]
    if not matches or None in matches:
        raise DataError(f'{path}: it holds no lines of the form "tick;G{gesture} name"')
    if wrong := {int(match[2]) for match in matches if match} - {gesture}:
        raise DataError(f'{path}: it tags the gesture {min(wrong)}, its name says {gesture}')
    ticks = np.array([float(match[1]) for match in matches if match])
    return np.sort((ticks + _TICKS / 2) / _TICKS)


def _recording(source: Source, member: str) -> tuple[np.ndarray, np.ndarray]:
    """The times ``(T,)`` and joints ``(1, T, 20, 3)`` of a file; NaN where the sensor gave none."""
    rows = read_rows(member, source.read(member), 81)
    values = rows[:, 1:].reshape(1, -1, 20, 4)
    joints = np.where(values[..., 3:] != 0, values[..., :3], np.nan)
    joints[~(values[..., 3] != 0).any(axis=2)] = 0
    return rows[:, 0], joints


def read_clip(
    read: Callable[[str], tuple[np.ndarray, np.ndarray]],
    member: str,
    columns: dict[str, int],
    tag: float,
    first: float,
    last: float,
) -> Clip:
    """Keypoint ``(1, T, 20, 3)`` and columns of the frames from time ``first`` to before ``last``.

    Raises:
        DataError: the file is not of this format, or the tag lies outside its recording.
    """
    times, joints = read(member)
    if not times.min() - _OUTSIDE <= tag <= times.max() + _OUTSIDE:
        raise DataError(f'its tag at {tag:.0f} microseconds is outside the recording, {times.min()} to {times.max()}')
    inside = (times >= first) & (times < last)
    if not inside.any():
        raise DataError('no frame lies nearer to its tag than to another')
    return in_metres(member, joints[:, inside]), columns


convert = SegmentFormat('msrc12', 'kinect20', ACTIONS, SPLITS['msrc12'], ('.csv', '.tagstream'), list_clips).convert
