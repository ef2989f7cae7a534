"""NTU RGB+D and NTU RGB+D 120: one .skeleton text file a clip, Kinect v2

The text: number of frames; per frame the number of bodies; per body one line of ten values (the tracking id first),
one with the number of joints, and per joint twelve values, of which the first three are x, y, z in metres.
"""

import os
import re
import warnings
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from skeattn.datasets.converters.bodies import BODIES, MAX_PERSONS, Bodies
from skeattn.datasets.converters.source import Parsed, Source, add_all, bundled
from skeattn.datasets.packed import PackedSet, PackedWriter
from skeattn.datasets.protocols import PROTOCOLS
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import get_layout

_LAYOUT = get_layout('ntu25')
_V = _LAYOUT.num_joints
_BODY_VALUES, _JOINT_VALUES = 10, 12
_LARGEST = float(np.finfo(np.float32).max)
_NAME = re.compile(r'S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})$', re.ASCII)
_NUM_CLASSES = {'ntu60': 60, 'ntu120': 120}
_CAMERAS = (1, 2, 3)
_SETUPS = {'ntu60': range(1, 18), 'ntu120': range(1, 33)}
_MISSING = 'listed by the authors of the data set as without a usable skeleton'

# Clips without those on the authors' lists, and (training, test) clips of the protocols, as the literature counts them.
PUBLISHED: dict[str, dict[str, Any]] = {
    'ntu60': {'clips': 56578, 'xsub': (40091, 16487), 'xview': (37646, 18932)},
    'ntu120': {'clips': 113945, 'xsub': (63026, 50919), 'xset': (54468, 59477)},
}


def convert(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    dataset: str | None = None,
    bodies: str = 'file_order',
    *,
    strict: bool = False,
    overwrite: bool = False,
    jobs: int | None = None,
) -> None:
    """Pack ``SsssCcccPpppRrrrAaaa.skeleton`` files, all frames, up to two persons.

    Clips that the authors list as without usable skeletons are left out and named in the manifest, as are unusable
    files. One set serves every protocol.

    Args:
        source: folder, searched through, or zip archive, or folder of zip archives; or several of them.
        out: the packed set's folder.
        dataset: ``'ntu60'`` or ``'ntu120'``; by default told by the actions found. ``'ntu60'`` takes from a folder that
            holds both only the first 60 actions.
        bodies: which bodies become persons, see :mod:`skeattn.datasets.converters.bodies`; ``'file_order'``, as
            released, or ``'motion'``.
        strict: stop at the first unusable file.
        overwrite: replace a set at ``out``.
        jobs: number of processes; by default one a core. The set does not depend on it.

    Raises:
        DataError: the source is unusable, or with ``strict`` a file is, or ``out`` exists.
        ConfigError: unknown data set or rule for bodies.
    """
    if bodies not in BODIES:
        raise ConfigError(f'bodies={bodies!r} is not known; known: {", ".join(BODIES)}')
    if dataset not in (None, *_NUM_CLASSES):
        raise ConfigError(f'dataset={dataset!r} is none of {", ".join(_NUM_CLASSES)}')
    files = Source(source, '.skeleton')
    actions = {member: int(match[5]) for member in files if (match := _NAME.match(Path(member).stem))}
    known = [action for action in actions.values() if action <= _NUM_CLASSES['ntu120']]
    dataset = dataset or ('ntu120' if max(known, default=0) > _NUM_CLASSES['ntu60'] else 'ntu60')
    classes = bundled('ntu_actions.txt')[: _NUM_CLASSES[dataset]]
    of_the_other = range(len(classes) + 1, _NUM_CLASSES['ntu120'] + 1)
    missing = set(bundled(f'{dataset}_missing.txt'))
    files.members = [member for member in files if actions.get(member) not in of_the_other]
    with PackedWriter(out, dataset, _LAYOUT, classes, PROTOCOLS[dataset], overwrite) as writer:
        writer.notes['bodies'] = bodies
        for member in files:
            if (name := Path(member).stem) in missing:
                writer.skip(name, _MISSING)
        files.members = [member for member in files if Path(member).stem not in missing]
        add_all(writer, files, partial(parse, bodies=bodies), strict=strict, jobs=jobs)


def parse(path: str, content: bytes, bodies: str = 'file_order') -> Parsed:
    """Name, keypoint ``(M, T, 25, 3)``, columns and notes of one file; M is 1 or 2.

    Raises:
        DataError: the name or the content is not of this format.
    """
    name = Path(path).stem
    match = _NAME.match(name)
    if match is None:
        raise DataError(f'{path}: the name is not of the form SsssCcccPpppRrrrAaaa.skeleton')
    setup, camera, subject, replication, action = map(int, match.groups())
    if not 1 <= action <= _NUM_CLASSES['ntu120']:
        raise DataError(f'{path}: action {action} is outside 1..{_NUM_CLASSES["ntu120"]}')
    if camera not in _CAMERAS:
        raise DataError(f'{path}: camera {camera} is none of {", ".join(map(str, _CAMERAS))}')
    columns = {'label': action - 1, 'setup': setup, 'camera': camera, 'subject': subject, 'replication': replication}
    listed = read_bodies(path, content)
    crowded = int(listed.place.max() >= MAX_PERSONS)
    changing = int(len(set(listed.ids)) > MAX_PERSONS)
    notes = {'clips with over two bodies in a frame': crowded, 'clips with over two tracking ids': changing}
    return name, BODIES[bodies](listed), columns, notes


def read_bodies(path: str, content: bytes) -> Bodies:
    """Every body that a file lists. Of a joint's twelve values the last nine are counted, but not read.

    Raises:
        DataError: truncated, not numeric, another joint count, values left over, or no body at all; with the line.
    """
    try:
        tokens = content.decode('ascii').split()
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise DataError(f'{path}, line {line}: not a number, the file is no text') from None
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
        raise DataError(f'{path}, line {line}: {len(tokens) - at} value(s) left after the last of {T} frames')
    if not starts:
        raise DataError(f'{path}: no body in any of the {T} frames')
    frames, order = np.array(places).T
    ids = [tokens[start - _BODY_VALUES - 1] for start in starts]
    return Bodies(T, frames, order, ids, _joints(path, content, tokens, starts))


def _joints(path: str, content: bytes, tokens: list[str], starts: list[int]) -> np.ndarray:
    """x, y and z of the bodies whose first joints stand at ``starts``, ``(B, 25, 3)``."""
    wanted: list[str] = []
    for start in starts:
        stop = start + _V * _JOINT_VALUES
        for axis in range(3):
            wanted += tokens[start + axis : stop : _JOINT_VALUES]
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)
        try:  # much faster than float() on each
            values = np.fromstring(' '.join(wanted), sep=' ')
        except (ValueError, DeprecationWarning):
            values = np.empty(0)
    # More of them, where '1.2.3' was read as two numbers.
    if len(values) != len(wanted) or not (np.abs(values) <= _LARGEST).all():
        bad = next(i for i, token in enumerate(wanted) if not _is_coordinate(token))
        body, joint = divmod(bad, 3 * _V)
        line = _line(content, starts[body] + joint % _V * _JOINT_VALUES)
        raise DataError(f'{path}, line {line}: {wanted[bad][:20]} is no coordinate, which is a finite number')
    return values.reshape(-1, 3, _V).transpose(0, 2, 1)


def _is_coordinate(token: str) -> bool:
    try:
        return '_' not in token and abs(float(token)) <= _LARGEST
    except ValueError:
        return False


def _count(path: str, content: bytes, tokens: list[str], at: int, what: str) -> int:
    if at >= len(tokens):
        raise DataError(f'{path} is truncated: it ends before the number of {what}')
    token = tokens[at]
    if not token.isdigit():
        raise DataError(f'{path}, line {_line(content, at)}: {token[:20]} is no number of {what}')
    # Each of them takes at least one more value, so that a wrong count is noticed before memory is taken for it.
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


def compare_with_published(packed: PackedSet) -> str:
    """Clips and splits of a converted set beside the counts of the literature, and what is absent from a subset."""
    rows = []
    for what, published in PUBLISHED[packed.manifest['dataset']].items():
        here: Any = len(packed)
        if what != 'clips':
            rule = packed.manifest['protocols'][what]
            trains = int(np.isin(packed.table[rule['field']], rule['train']).sum())
            here = (trains, len(packed) - trains)
        rows.append((what, _counts(here), _counts(published), 'as published' if here == published else 'differs'))
    table = tabulate(rows, headers=('train / test', 'here', 'published', ''), tablefmt='simple')
    if all(row[-1] == 'as published' for row in rows):
        return table
    absent = sorted(set(_SETUPS[packed.manifest['dataset']]) - set(packed.table['setup'].tolist()))
    setups = f'; setups without a clip: {_ranges(absent)}' if absent else ''
    return f'{table}\nThis is not the whole data set: {_counts(len(packed))} of its clips are here{setups}.'


def _counts(counts: int | tuple[int, int]) -> str:
    return ' / '.join(f'{count:,}' for count in (counts if isinstance(counts, tuple) else (counts,)))


def _ranges(numbers: list[int]) -> str:
    """1, 2, 3, 7 as '1-3, 7'; the numbers ascend."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ', '.join(str(run[0]) if len(run) == 1 else f'{run[0]}-{run[-1]}' for run in runs)
