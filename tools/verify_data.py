"""Re-hash and check a packed set, and say what it holds: python tools/verify_data.py data/NAME [--json]

Every file is read again. Each problem is one line, 'CLIP OR FILE: FIELD: what is wrong', and the exit status is then 1.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from skeattn import cli
from skeattn.channels import num_coordinates
from skeattn.datasets import PackedSet, split
from skeattn.datasets.integrity import is_intact
from skeattn.datasets.missing import present, sound_rows
from skeattn.datasets.packed import FIELDS, MANIFEST
from skeattn.errors import DataError
from skeattn.progress import progress

ROWS = 1 << 16
BINS, BAR, LINES = 12, 40, 24
# What the two sides of a split of that name must not share, whichever column decides.
APART = {'xsub': 'subject', 'xview': 'camera', 'camera': 'camera', 'xset': 'setup'}


@dataclass(frozen=True)
class Problem:
    """Something that is wrong: in which clip or file, in which field, and what."""

    where: str
    field: str
    what: str

    def __str__(self) -> str:
        return f'{self.where}: {self.field}: {self.what}'


def problems_of(packed: PackedSet) -> Iterator[Problem]:
    """All that is wrong with an opened set."""
    for file, expected in packed.manifest['sha256'].items():
        if not is_intact(packed.path / file, expected, again=True):
            yield Problem(file, 'sha256', f'is damaged: differs from {MANIFEST}')
    yield from table_problems(packed)
    yield from coordinate_problems(packed)
    for name in packed.splits:
        yield from split_problems(packed, name)


def table_problems(packed: PackedSet) -> Iterator[Problem]:
    """Labels have a class, names are unique, and no clip is among those that were left out."""
    labels, names = packed.table['label'], packed.table['name']
    for i in np.flatnonzero((labels < 0) | (labels >= len(packed.classes))):
        yield Problem(names[i], 'label', f'{labels[i]} is outside 0..{len(packed.classes) - 1}')
    unique, counts = np.unique(names, return_counts=True)
    for name, count in zip(unique[counts > 1], counts[counts > 1], strict=True):
        yield Problem(name, 'name', f'stands {count} times in the table')
    for name in sorted(set(unique.tolist()) & {skip['name'] for skip in packed.manifest['skipped']}):
        yield Problem(name, 'name', 'is listed as skipped, but the set holds it')
    for field in FIELDS[1:]:
        for i in np.flatnonzero(packed.table[field] < -1):
            yield Problem(names[i], field, f'{packed.table[field][i]} is neither a number from 0 nor -1 (unknown)')


def coordinate_problems(packed: PackedSet) -> Iterator[Problem]:
    """Every value is finite or a missing joint's, and in every clip somebody is there."""
    finite, there = (np.empty(len(packed.frames), bool) for _ in range(2))
    for start in progress(range(0, len(finite), ROWS), f'checking coordinates of {packed.path}'):
        rows = np.asarray(packed.frames[start : start + ROWS])
        finite[start : start + ROWS] = sound_rows(rows, num_coordinates(packed.channels), packed.has_missing)
        there[start : start + ROWS] = present(rows[None])[0]
    names, offset = packed.table['name'], packed.table['offset']
    for i in np.flatnonzero(~np.logical_and.reduceat(finite, offset)):
        clip = packed.clip(i)
        rows = clip.reshape(-1, *clip.shape[2:])
        row = int(np.argmin(sound_rows(rows, num_coordinates(packed.channels), packed.has_missing)))
        person, frame = divmod(row, clip.shape[1])
        joint = int(np.argmax(~np.isfinite(rows[row]).all(axis=1)))
        where = f'person {person}, frame {frame}, joint {packed.layout.joints[joint]}'
        yield Problem(names[i], 'keypoint', f'NaN or infinite coordinate at {where}')
    for i in np.flatnonzero(~np.logical_or.reduceat(there, offset)):
        yield Problem(names[i], 'keypoint', 'all zero, nobody is there')


def split_problems(packed: PackedSet, name: str) -> Iterator[Problem]:
    """Both sides have clips, and share no subject, camera or setup where the split's name says so."""
    try:
        train, test = split(packed, name)
    except DataError as error:
        yield Problem(MANIFEST, f'protocols.{name}', str(error))
        return
    field = APART.get(name)
    for value in shared_values(packed, field, train, test) if field else ():
        clip = packed.table['name'][train[packed.table[field][train] == value][0]]
        yield Problem(clip, field, f'{value} trains and tests in split {name!r}')


def shared_values(packed: PackedSet, field: str, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Known values of a column that occur on both sides."""
    both = np.intersect1d(packed.table[field][train], packed.table[field][test])
    return both[both >= 0]


def summary_of(packed: PackedSet) -> dict[str, Any]:
    """What the set holds, as JSON can say it."""
    table, frames = packed.table, packed.table['frames']
    width = -(-(int(np.ptp(frames)) + 1) // BINS)
    binned = np.bincount((frames - frames.min()) // width)
    subjects, of_subject = np.unique(table['subject'], return_counts=True)
    inside = table['label'][(table['label'] >= 0) & (table['label'] < len(packed.classes))]
    per_class = np.bincount(inside, minlength=len(packed.classes)).tolist()
    known = {field: len(np.unique(table[field])) for field in FIELDS if (table[field] >= 0).all()}
    return {
        'path': str(packed.path),
        'dataset': packed.manifest['dataset'],
        'layout': packed.layout.name,
        'channels': list(packed.channels),
        'clips': len(packed),
        'skipped': len(packed.manifest['skipped']),
        'distinct': known,
        'persons': {str(m): int(n) for m, n in zip(*np.unique(table['persons'], return_counts=True), strict=True)},
        'frames': {
            'min': int(frames.min()),
            'median': float(np.median(frames)),
            'max': int(frames.max()),
            'counts': {span(int(frames.min()) + k * width, width): n for k, n in enumerate(binned.tolist())},
        },
        'classes': dict(zip(packed.classes, per_class, strict=True)),
        'subjects': {str(s): int(n) for s, n in zip(subjects, of_subject, strict=True)},
        'protocols': {name: sides_of(packed, name) for name in packed.splits},
    }


def span(first: int, width: int) -> str:
    """``'8 to 15'``, or ``'8'`` where one number is meant."""
    return f'{first} to {first + width - 1}' if width > 1 else str(first)


def sides_of(packed: PackedSet, name: str) -> dict[str, Any]:
    """Clips on the two sides of a split, on neither, and how many subjects, cameras and setups the sides share."""
    rule = packed.splits[name]
    try:
        train, test = split(packed, name)
    except DataError:
        return {'by': rule['field']}
    shared = {
        field: len(shared_values(packed, field, train, test))
        for field in ('subject', 'camera', 'setup')
        if (packed.table[field] >= 0).all()
    }
    sides = {'train': len(train), 'test': len(test), 'neither': len(packed) - len(train) - len(test)}
    return {'by': rule['field'], **sides, 'shared': shared}


def histogram(title: str, counts: dict[str, int]) -> str:
    """A bar a line; of many the largest and the smallest."""
    width, most = max(map(len, counts), default=0), max(counts.values(), default=0)
    lines = [
        f'  {name:>{width}} {count:7d} {"#" * round(BAR * count / max(most, 1))}' for name, count in counts.items()
    ]
    if len(lines) > LINES:
        order = sorted(range(len(lines)), key=lambda k: -list(counts.values())[k])
        ends = [lines[k] for k in order[: LINES // 2]], [lines[k] for k in order[-LINES // 2 :]]
        lines = [*ends[0], f'  ... {len(order) - LINES} between', *ends[1]]
    return '\n'.join([title, *lines])


def report(summary: dict[str, Any]) -> str:
    """The summary as text."""
    frames = summary['frames']
    rows = [
        ('clip', summary['clips']),
        *summary['distinct'].items(),
        ('skipped', summary['skipped']),
        ('frames min / median / max', f'{frames["min"]} / {frames["median"]:g} / {frames["max"]}'),
        ('persons', ', '.join(f'{n} clips with {m}' for m, n in summary['persons'].items())),
    ]
    splits = [
        (
            name,
            f'by {sides["by"]}',
            ', '.join(f'{n} {field}s' for field, n in sides.get('shared', {}).items()) or '-',
            sides.get('neither', '-'),
            sides.get('train', '-'),
            sides.get('test', '-'),
        )
        for name, sides in summary['protocols'].items()
    ]
    subjects = summary['subjects']
    return '\n\n'.join(
        [
            tabulate(rows, headers=('column', 'distinct')),
            tabulate(splits, headers=('split', 'decided', 'sides share', 'neither', 'train', 'test')),
            histogram('clips by number of frames', frames['counts']),
            histogram('clips by class', summary['classes']),
            *([] if set(subjects) == {'-1'} else [histogram('clips by subject', subjects)]),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', help='folder of the packed set')
    parser.add_argument('--json', action='store_true', help='print the summary and the problems as JSON')
    args = parser.parse_args()
    try:
        packed = PackedSet.open(args.data)
    except DataError as error:
        if not (Path(args.data) / MANIFEST).is_file():
            raise
        problems, summary = [Problem(args.data, 'set', str(error))], {'path': args.data}
    else:
        problems, summary = list(problems_of(packed)), summary_of(packed)
    if args.json:
        print(json.dumps({**summary, 'problems': [asdict(problem) for problem in problems]}, indent=1))
    elif len(summary) > 1:
        print(report(summary))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems and not args.json:
        print(f'\n{args.data} is intact: hashes, table, coordinates and splits agree')
    return int(bool(problems))


if __name__ == '__main__':
    cli.run(main)
