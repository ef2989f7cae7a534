"""NTU RGB+D and NTU RGB+D 120: one ``.skeleton`` text file a clip, Kinect v2.

The text: number of frames; per frame the number of bodies; per body one line of ten values (the tracking id first),
one with the number of joints, and per joint twelve values, of which the first three are x, y, z in metres.
"""

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from skeattn.datasets.converters.source import Parsed, Source, add_all, bundled
from skeattn.datasets.packed import PackedWriter
from skeattn.datasets.protocols import PROTOCOLS
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import get_layout

_LAYOUT = get_layout('ntu25')
_V = _LAYOUT.num_joints
_BODY_VALUES, _JOINT_VALUES = 10, 12
_NAME = re.compile(r'S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})$')
_NUM_CLASSES = {'ntu60': 60, 'ntu120': 120}
MAX_PERSONS = 2


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    dataset: str | None = None,
    skip_bad: bool = False,
    overwrite: bool = False,
    bodies: str = 'file_order',
) -> None:
    """Pack a folder (or zip) of ``SsssCcccPpppRrrrAaaa.skeleton`` files, all frames, up to two persons.

    Clips that the authors list as without usable skeletons are left out and named in the manifest.

    Args:
        source: folder, searched through, or zip archive.
        out: the packed set's folder.
        dataset: ``'ntu60'`` or ``'ntu120'``; by default told by the actions found. ``'ntu60'`` takes from a folder that
            holds both only the first 60 actions.
        skip_bad: leave out unusable files instead of stopping.
        overwrite: replace a set at ``out``.
        bodies: which bodies become persons; ``'file_order'``: the first two that each frame lists, as released.

    Raises:
        DataError: the source or a file is unusable, or ``out`` exists.
        ConfigError: unknown data set or rule for bodies.
    """
    if bodies != 'file_order':
        raise ConfigError(f'bodies={bodies!r} is not known; known: file_order')
    if dataset not in (None, *_NUM_CLASSES):
        raise ConfigError(f'dataset={dataset!r} is none of {", ".join(_NUM_CLASSES)}')
    files = Source(source, '.skeleton')
    actions = {member: int(match[5]) for member in files if (match := _NAME.match(Path(member).stem))}
    dataset = dataset or ('ntu120' if max(actions.values(), default=0) > _NUM_CLASSES['ntu60'] else 'ntu60')
    classes = bundled('ntu_actions.txt')[: _NUM_CLASSES[dataset]]
    missing = set(bundled(f'{dataset}_missing.txt'))
    files.members = [member for member in files if actions.get(member, 1) <= len(classes)]
    with PackedWriter(out, dataset, _LAYOUT, classes, PROTOCOLS[dataset], overwrite) as writer:
        for member in files:
            if (name := Path(member).stem) in missing:
                writer.skip(name, 'listed by the authors of the data set as without a usable skeleton')
        files.members = [member for member in files if Path(member).stem not in missing]
        add_all(writer, files, parse, skip_bad)


def parse(path: str, content: bytes) -> Parsed:
    """Name, keypoint ``(M, T, 25, 3)`` and columns of one file; M is 1 or 2.

    Raises:
        DataError: the name or the content is not of this format.
    """
    name = Path(path).stem
    match = _NAME.match(name)
    if match is None:
        raise DataError(f'{path}: the name is not of the form SsssCcccPpppRrrrAaaa.skeleton')
    setup, camera, subject, replication, action = map(int, match.groups())
    columns = {'label': action - 1, 'setup': setup, 'camera': camera, 'subject': subject, 'replication': replication}
    return name, read_skeleton(path, content), columns


def read_skeleton(path: str, content: bytes) -> np.ndarray:
    """The bodies of one file in file order per frame, ``(M, T, 25, 3)`` float32; a frame without a body is zero.

    Raises:
        DataError: truncated, not numeric, another joint count, values left over, or no body at all; with the line.
    """
    values = _numbers(path, content)
    T = _count(path, values, 0, 1, 'frames')
    keypoint = np.zeros((MAX_PERSONS, T, _V, 3), np.float32)
    persons = 0
    with np.errstate(over='ignore'):  # too large for float32 becomes infinite, which the writer refuses by name
        for frame, slot, start in _bodies(path, values, T):
            if slot < MAX_PERSONS:
                joints = values[start : start + _V * _JOINT_VALUES].reshape(_V, _JOINT_VALUES)
                keypoint[slot, frame] = joints[:, :3]
                persons = max(persons, slot + 1)
    if not persons:
        raise DataError(f'{path}: no body in any of the {T} frames')
    return keypoint[:persons]


def _bodies(path: str, values: np.ndarray, T: int) -> Iterator[tuple[int, int, int]]:
    """(frame, place in the frame's list, position of the first joint value) of each body."""
    at, line = 1, 2
    for frame in range(T):
        where = f'in frame {frame + 1} of {T}'
        bodies = _count(path, values, at, line, f'bodies {where}')
        at, line = at + 1, line + 1
        for slot in range(bodies):
            joints = _count(path, values, at + _BODY_VALUES, line + 1, f'joints {where}')
            if joints != _V:
                raise DataError(f'{path}, line {line + 1}: {joints} joints {where}, not {_V}')
            at, line = at + _BODY_VALUES + 1, line + 2
            if at + _V * _JOINT_VALUES > len(values):
                raise DataError(f'{path} is truncated: it ends {where}, body {slot + 1}')
            yield frame, slot, at
            at, line = at + _V * _JOINT_VALUES, line + _V
    if at != len(values):
        raise DataError(f'{path}, line {line}: {len(values) - at} value(s) left after the last of {T} frames')


def _count(path: str, values: np.ndarray, at: int, line: int, what: str) -> int:
    if at >= len(values):
        raise DataError(f'{path} is truncated: it ends before the number of {what} (line {line})')
    count = values[at]
    if not (count >= 0 and count.is_integer()):
        raise DataError(f'{path}, line {line}: {count:g} is no number of {what}')
    # Each of them takes at least one more value, so that a wrong count is noticed before memory is taken for it.
    if count > len(values) - at - 1:
        raise DataError(f'{path} is truncated: line {line} announces {count:g} {what}, more than follow')
    return int(count)


def _numbers(path: str, content: bytes) -> np.ndarray:
    """Every number of the text. The 17 digits of a tracking id are rounded; nothing here depends on them."""
    if not content.strip():
        raise DataError(f'{path} is empty')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', DeprecationWarning)
            return np.fromstring(content.decode('ascii'), sep=' ')
    except (ValueError, DeprecationWarning):
        raise DataError(f'{path}, line {_first_bad_line(content)}: not a number') from None


def _first_bad_line(content: bytes) -> int:
    lines = content.split(b'\n')
    for number, line in enumerate(lines, 1):
        try:
            [float(token) for token in line.split()]
        except ValueError:
            return number
    return len(lines)
