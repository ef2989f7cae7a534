"""Check a packed set and summarise it, or check a checkpoint and evaluate a published one again.

X is the folder of a packed set; a checkpoint; or a published encoder, by its file, folder, name or address. Of a packed
set every file is read again. Each problem is one line, 'CLIP OR FILE: FIELD: what is wrong', and gives exit status 1.
Lines that begin with 'warning:' report copies and values that are unlikely; they leave the exit status at 0.
The numbers of a published encoder are computed again on its packed set; a different one gives the exit status 1.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from skeattn import cli
from skeattn.channels import num_coordinates
from skeattn.datasets import PackedSet, split
from skeattn.datasets.inspection import Finding, copies_summary, copy_findings, meaning_findings
from skeattn.datasets.integrity import is_intact
from skeattn.datasets.measures import Measures, measure
from skeattn.datasets.missing import present, sound_rows
from skeattn.datasets.packed import FIELDS, MANIFEST
from skeattn.errors import ConfigError, DataError
from skeattn.progress import progress
from skeattn.published import locate

ROWS = 1 << 16
BINS, BAR, LINES = 12, 40, 24
# Split -> column whose values its two parts must not share, whichever column defines the split.
APART = {'xsub': 'subject', 'xview': 'camera', 'camera': 'camera', 'xset': 'setup'}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__, 'skeattn verify data/demo --json', 'skeattn verify zoo/skeattnclr_stgcn_demo --data data/demo'
    )
    top.add_argument('x', metavar='X', help='a packed set, a checkpoint or a published encoder')
    top.add_argument('--json', action='store_true', help='print the summary and the problems as JSON')
    top.add_argument('--data', metavar='SET', help='packed set of the published numbers (that of the config)')
    top.add_argument('--device', help='of their evaluation, such as cpu (the accelerator, if there is one)')
    cli.add_imports(top)
    return top


def problems_of(packed: PackedSet) -> Iterator[Finding]:
    """All problems of an opened set."""
    for file, expected in packed.manifest['sha256'].items():
        if not is_intact(packed.path / file, expected, again=True):
            yield Finding(file, 'sha256', f'is damaged: differs from {MANIFEST}')
    yield from table_problems(packed)
    yield from coordinate_problems(packed)
    for name in packed.splits:
        yield from split_problems(packed, name)


def table_problems(packed: PackedSet) -> Iterator[Finding]:
    """Labels have a class or are -1 (none), names are unique, and no clip is among those that were left out."""
    labels, names = packed.table['label'], packed.table['name']
    for i in np.flatnonzero((labels < -1) | (labels >= len(packed.classes))):
        yield Finding(names[i], 'label', f'{labels[i]} is outside 0..{len(packed.classes) - 1}')
    unique, counts = np.unique(names, return_counts=True)
    for name, count in zip(unique[counts > 1], counts[counts > 1], strict=True):
        yield Finding(name, 'name', f'occurs {count} times in the table')
    for name in sorted(set(unique.tolist()) & {skip['name'] for skip in packed.manifest['skipped']}):
        yield Finding(name, 'name', 'is listed as skipped, but the set holds it')
    for field in FIELDS[1:]:
        for i in np.flatnonzero(packed.table[field] < -1):
            yield Finding(names[i], field, f'{packed.table[field][i]} is neither a number from 0 nor -1 (unknown)')


def coordinate_problems(packed: PackedSet) -> Iterator[Finding]:
    """Every value is finite, except all coordinates of a missing joint, and every clip has a person."""
    finite, occupied = (np.empty(len(packed.frames), bool) for _ in range(2))
    for start in progress(range(0, len(finite), ROWS), f'checking coordinates of {packed.path}'):
        rows = np.asarray(packed.frames[start : start + ROWS])
        finite[start : start + ROWS] = sound_rows(rows, num_coordinates(packed.channels), packed.has_missing)
        occupied[start : start + ROWS] = present(rows[None])[0]
    names, offset = packed.table['name'], packed.table['offset']
    for i in np.flatnonzero(~np.logical_and.reduceat(finite, offset)):
        clip = packed.clip(int(i))
        rows = clip.reshape(-1, *clip.shape[2:])
        row = int(np.argmin(sound_rows(rows, num_coordinates(packed.channels), packed.has_missing)))
        person, frame = divmod(row, clip.shape[1])
        joint = int(np.argmax(~np.isfinite(rows[row]).all(axis=1)))
        where = f'person {person}, frame {frame}, joint {packed.layout.joints[joint]}'
        yield Finding(names[i], 'keypoint', f'NaN or infinite coordinate at {where}')
    for i in np.flatnonzero(~np.logical_or.reduceat(occupied, offset)):
        yield Finding(names[i], 'keypoint', 'all zero, no person is present')


def split_problems(packed: PackedSet, name: str) -> Iterator[Finding]:
    """Splits with an empty part, or whose parts share a subject, camera or setup against the split's name."""
    try:
        train, test = split(packed, name)
    except DataError as error:
        yield Finding(MANIFEST, f'protocols.{name}', str(error))
        return
    if (field := APART.get(name)) is None:
        return
    for value in shared_values(packed, field, train, test):
        clip = packed.table['name'][train[packed.table[field][train] == value][0]]
        yield Finding(clip, field, f'{value} is in both parts of split {name!r}')


def shared_values(packed: PackedSet, field: str, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Known values of a column that occur in both parts."""
    both = np.intersect1d(packed.table[field][train], packed.table[field][test])
    return both[both >= 0]


def summary_of(packed: PackedSet) -> dict[str, Any]:
    """Summary of the set, in types that JSON can hold."""
    table, frames = packed.table, packed.table['frames']
    width = -(-(int(np.ptp(frames)) + 1) // BINS)
    binned = np.bincount((frames - frames.min()) // width)
    subjects, of_subject = np.unique(table['subject'], return_counts=True)
    inside = table['label'][(table['label'] >= 0) & (table['label'] < len(packed.classes))]
    per_class = np.bincount(inside, minlength=len(packed.classes)).tolist()
    distinct = {field: len(np.unique(table[field])) for field in FIELDS if (table[field] >= 0).all()}
    return {
        'path': str(packed.path),
        'dataset': packed.manifest['dataset'],
        'layout': packed.layout.name,
        'channels': list(packed.channels),
        'clips': len(packed),
        'skipped': len(packed.manifest['skipped']),
        'notes': packed.manifest.get('notes', {}),
        'distinct': distinct,
        'persons': {str(m): int(n) for m, n in zip(*np.unique(table['persons'], return_counts=True), strict=True)},
        'frames': {
            'min': int(frames.min()),
            'median': float(np.median(frames)),
            'max': int(frames.max()),
            'counts': {span(int(frames.min()) + k * width, width): n for k, n in enumerate(binned.tolist())},
        },
        'classes': dict(zip(packed.classes, per_class, strict=True)),
        'subjects': {str(s): int(n) for s, n in zip(subjects, of_subject, strict=True)},
        'protocols': {name: parts_of(packed, name) for name in packed.splits},
    }


def span(first: int, width: int) -> str:
    """``'8 to 15'``, or ``'8'`` if it is one number."""
    return f'{first} to {first + width - 1}' if width > 1 else str(first)


def parts_of(packed: PackedSet, name: str) -> dict[str, Any]:
    """Numbers of clips in the parts of a split and in neither, and of shared subjects, cameras and setups."""
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
    parts = {'train': len(train), 'test': len(test), 'neither': len(packed) - len(train) - len(test)}
    return {'by': rule['field'], **parts, 'shared': shared}


def histogram(title: str, counts: dict[str, int]) -> str:
    """One bar per line; of many only the largest and the smallest."""
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
        ('copies', copies_text(summary['copies'])),
        *summary['notes'].items(),
    ]
    splits = [
        (
            name,
            parts['by'],
            ', '.join(f'{n} {field}s' for field, n in parts.get('shared', {}).items()) or '-',
            parts.get('neither', '-'),
            parts.get('train', '-'),
            parts.get('test', '-'),
        )
        for name, parts in summary['protocols'].items()
    ]
    subjects = summary['subjects']
    return '\n\n'.join(
        [
            tabulate(rows, headers=('column', 'distinct')),
            measures_text(summary['measures']),
            tabulate(splits, headers=('split', 'by', 'both parts have', 'neither', 'train', 'test')),
            histogram('clips by number of frames', frames['counts']),
            histogram('clips by class', summary['classes']),
            *([] if set(subjects) == {'-1'} else [histogram('clips by subject', subjects)]),
        ]
    )


def measures_summary(measures: Measures) -> dict[str, Any]:
    """The measures of a set as JSON, without those of single clips; numbers have four digits."""
    return {
        'channels': {name: [short(value) for value in values] for name, values in measures.channels.items()},
        'trunk': short(measures.trunk),
        'unit': measures.unit,
        'bone_variation': short(measures.tree.variation) if measures.tree else None,
        'tree_length': short(measures.tree.length) if measures.tree else None,
        'asymmetry': short(measures.tree.asymmetry) if measures.tree else None,
        'missing_joints': short(measures.missing),
        'joints_at_origin': short(measures.zero),
        'persons_present': {str(persons): clips for persons, clips in measures.persons.items()},
        'empty_classes': measures.empty,
        'unlabelled': measures.unlabelled,
    }


def short(value: float) -> float:
    """Rounded to four digits."""
    return float(f'{value:.4g}')


def measures_text(measures: dict[str, Any]) -> str:
    """The measures as a table."""

    def percent(value: float | None) -> str:
        return '-' if value is None else f'{100 * value:.3g} %'

    empty = measures['empty_classes']
    rows = [
        *((f'{name}: least / median / largest', ' / '.join(map(str, v))) for name, v in measures['channels'].items()),
        ('trunk length (unit)', f'{measures["trunk"]:g} ({measures["unit"]})'),
        ('variation of bone lengths over time', percent(measures['bone_variation'])),
        ('difference of left and right', percent(measures['asymmetry'])),
        ('missing joints', percent(measures['missing_joints'])),
        ('persons present', ', '.join(f'{n} clips with {m}' for m, n in measures['persons_present'].items())),
        ('classes without a clip', ', '.join(empty[:5]) + (f', and {len(empty) - 5} more' if empty[5:] else '') or 0),
        ('clips without a label', measures['unlabelled']),
    ]
    return tabulate(rows, headers=('measure', ''), disable_numparse=True)


def copies_text(copies: dict[str, Any]) -> str:
    """Number of copied clips, as a cell of a table."""
    if not copies['clips']:
        return '0'
    splits = [f'{n} test clips of {name} equal a training clip' for name, n in copies['test_clips'].items() if n]
    return '; '.join([f'{copies["clips"]} clips of {len(copies["groups"])} recordings', *splits])


def main(args: argparse.Namespace) -> int:
    """Print the summary and the problems; returns 1 if there are any."""
    path = locate(args.x)
    if path.is_file() and path.name != MANIFEST:
        return _check_file(path, args)
    if args.data or args.device:
        raise ConfigError(f'--data and --device belong to published encoders, and {args.x} is none')
    return _check_set(args)


def _check_file(path: Path, args: argparse.Namespace) -> int:
    """Of a checkpoint, perhaps a published one."""
    from skeattn.zoo import check_published

    check = check_published(path, args.data, cli.device(args.device))
    if args.json:
        print(json.dumps({**asdict(check), 'file': str(path)}, indent=1))
        return int(bool(check.faults))
    print(path)
    print(tabulate(check.facts.items(), tablefmt='plain'))
    if check.rows:
        print(f'\n{tabulate(check.rows, ("number", "published", "found", ""), floatfmt=".2f", missingval="-")}')
    for fault in check.faults:
        print(f'fault: {fault}', file=sys.stderr)
    if not check.faults:
        numbers = ', and its numbers agree' if check.rows else ''
        print(f'\n{path} is intact{numbers}')
    return int(bool(check.faults))


def _check_set(args: argparse.Namespace) -> int:
    warnings: list[Finding] = []
    try:
        packed = PackedSet.open(args.x)
    except DataError as error:
        if not (Path(args.x) / MANIFEST).is_file():
            raise
        problems, summary = [Finding(args.x, 'set', str(error))], {'path': args.x}
    else:
        problems, groups = list(problems_of(packed)), packed.copies(again=True)
        measures = measure(packed)
        summary = {
            **summary_of(packed),
            'copies': copies_summary(packed, groups),
            'measures': measures_summary(measures),
        }
        warnings = copy_findings(packed, groups) + meaning_findings(packed, measures)
    if args.json:
        findings = {'problems': problems, 'warnings': warnings}
        print(json.dumps({**summary, **{key: [asdict(f) for f in value] for key, value in findings.items()}}, indent=1))
    elif len(summary) > 1:
        print(report(summary))
    for line in [*problems, *(f'warning: {warning}' for warning in warnings)]:
        print(line, file=sys.stderr)
    if not problems and not args.json:
        read = f'; {len(warnings)} warnings, see above' if warnings else ''
        print(f'\n{args.x} is intact: hashes, table, coordinates and splits agree{read}')
    return int(bool(problems))
