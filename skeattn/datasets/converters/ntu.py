"""NTU RGB+D and NTU RGB+D 120: one .skeleton text file a clip, Kinect v2"""

import os
import re
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from skeattn.datasets.converters.bodies import BODIES, MAX_PERSONS, count
from skeattn.datasets.converters.chunks import Parsed
from skeattn.datasets.converters.intake import CROWDED, LEFT_OUT
from skeattn.datasets.converters.loop import add_all, note_others
from skeattn.datasets.converters.ntu_text import read_bodies
from skeattn.datasets.converters.source import Source, bundled
from skeattn.datasets.packed import PackedSet
from skeattn.datasets.splits import SPLITS
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import get_layout

_LAYOUT = get_layout('ntu25')
_NAME = re.compile(r'S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})$', re.ASCII)
_NUM_CLASSES = {'ntu60': 60, 'ntu120': 120}
_CAMERAS = (1, 2, 3)
_SETUPS = {'ntu60': range(1, 18), 'ntu120': range(1, 33)}
_MISSING = 'listed by the authors of the data set as without a usable skeleton'

# Clips without those on the authors' lists, and (training, test) clips of the splits, as the literature counts them.
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
    persons: str | None = None,
    max_persons: int = MAX_PERSONS,
    strict: bool = False,
    overwrite: bool = False,
    jobs: int | None = None,
) -> None:
    """Pack ``SsssCcccPpppRrrrAaaa.skeleton`` files, all frames, by default up to two persons.

    Clips that the authors list as without usable skeletons are left out and named in the manifest, as are unusable
    files. One set serves every split.

    Args:
        source: folder, searched through, or zip archive, or folder of zip archives; or several of them.
        out: the packed set's folder.
        dataset: ``'ntu60'`` or ``'ntu120'``; by default derived from the actions in the files. From a folder that
            holds both, ``'ntu60'`` takes only the first 60 actions.
        bodies: which bodies become persons, see :mod:`skeattn.datasets.converters.bodies`; ``'file_order'``, as
            released, ``'motion'`` or ``'track'``.
        persons: the same by the names of other formats: ``'order'`` is ``'file_order'``.
        max_persons: number of persons kept.
        strict: stop at the first unusable file.
        overwrite: replace a set at ``out``.
        jobs: number of processes; by default one a core. The set does not depend on it.

    Raises:
        DataError: the source is unusable, or with ``strict`` a file is, or ``out`` exists.
        ConfigError: unknown data set or rule for bodies.
    """
    bodies = {'order': 'file_order', None: bodies}.get(persons, persons) or bodies
    if bodies == 'score':
        raise ConfigError('persons="score" (--persons score): the sensor gives no score; choose order, motion or track')
    if max_persons < 1:
        raise ConfigError(f'max_persons={max_persons} (--max-persons) must be 1 or more')
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
    with PackedWriter(out, dataset, _LAYOUT, classes, SPLITS[dataset], overwrite) as writer:
        writer.notes['bodies'] = bodies
        note_others(writer, files)
        for member in files:
            if (name := Path(member).stem) in missing:
                writer.skip(name, _MISSING, intended=True)
        files.members = [member for member in files if Path(member).stem not in missing]
        add_all(writer, files, partial(parse, bodies=bodies, most=max_persons), strict=strict, jobs=jobs)


def parse(path: str, content: bytes, bodies: str = 'file_order', most: int = MAX_PERSONS) -> Parsed:
    """Name, keypoint ``(M, T, 25, 3)``, columns and notes of one file; M is 1 to ``most``.

    Raises:
        DataError: the name or the content is not of this format.
    """
    name = Path(path).stem
    columns = parse_ntu_name(name)
    if columns is None:
        raise DataError(f'{path}: the name is not of the form SsssCcccPpppRrrrAaaa.skeleton')
    if not 0 <= columns['label'] < _NUM_CLASSES['ntu120']:
        raise DataError(f'{path}: action {columns["label"] + 1} is outside 1..{_NUM_CLASSES["ntu120"]}')
    if columns['camera'] not in _CAMERAS:
        raise DataError(f'{path}: camera {columns["camera"]} is none of {", ".join(map(str, _CAMERAS))}')
    listed = read_bodies(path, content)
    crowded = int(listed.place.max() >= MAX_PERSONS)
    changing = int(len(set(listed.ids)) > MAX_PERSONS)
    notes = {'clips with over two bodies in a frame': crowded, 'clips with over two tracking ids': changing}
    keypoint = BODIES[bodies](listed, most)
    if left_out := count(listed, bodies) - len(keypoint):
        notes |= {LEFT_OUT: left_out, CROWDED: 1}
    return name, keypoint, columns, notes


def parse_ntu_name(name: str) -> dict[str, int] | None:
    """The columns that the name of a clip of this set tells; None for any other name."""
    match = _NAME.match(name)
    if match is None:
        return None
    setup, camera, subject, replication, action = map(int, match.groups())
    return {'label': action - 1, 'setup': setup, 'camera': camera, 'subject': subject, 'replication': replication}


def compare_with_published(packed: PackedSet) -> str:
    """Clips and splits of a converted set beside the counts of the literature, and what is absent from a subset."""
    rows = []
    for what, published in PUBLISHED[packed.manifest['dataset']].items():
        here: Any = len(packed)
        if what != 'clips':
            rule = packed.splits[what]
            trains = int(np.isin(packed.table[rule['field']], rule['train']).sum())
            here = (trains, len(packed) - trains)
        rows.append((what, _counts(here), _counts(published), 'as published' if here == published else 'differs'))
    table = tabulate(rows, headers=('train / test', 'here', 'published', ''), tablefmt='simple')
    if all(row[-1] == 'as published' for row in rows):
        return table
    published = PUBLISHED[packed.manifest['dataset']]['clips']
    if len(packed) >= published:
        return f'{table}\nThese are not the published counts.'
    absent = sorted(set(_SETUPS[packed.manifest['dataset']]) - set(packed.table['setup'].tolist()))
    setups = f'; setups without a clip: {_ranges(absent)}' if absent else ''
    return f'{table}\nThis is a part of the data set, {len(packed):,} of {published:,} clips{setups}.'


def _counts(counts: int | tuple[int, int]) -> str:
    return ' / '.join(f'{count:,}' for count in (counts if isinstance(counts, tuple) else (counts,)))


def _ranges(numbers: list[int]) -> str:
    """1, 2, 3, 7 as '1-3, 7'; the numbers ascend."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ', '.join(str(run[0]) if len(run) == 1 else f'{run[0]}-{run[-1]}' for run in runs)
