"""Re-hash and check a packed set: python tools/verify_data.py data/NAME"""

import argparse

import numpy as np
from tabulate import tabulate

from skeattn import cli
from skeattn.datasets import PackedSet, split
from skeattn.datasets.packed import FIELDS
from skeattn.errors import DataError
from skeattn.progress import progress


def check_table(packed: PackedSet) -> None:
    """Labels have a class, names are unique, every kept clip is none that was skipped."""
    labels, names = packed.table['label'], packed.table['name']
    wrong = np.flatnonzero((labels < 0) | (labels >= len(packed.classes)))
    if len(wrong):
        at = wrong[0]
        raise DataError(f'{names[at]}: label {labels[at]} is outside 0..{len(packed.classes) - 1}')
    unique, counts = np.unique(names, return_counts=True)
    if (counts > 1).any():
        raise DataError(f'{unique[counts > 1][0]}: the name stands {counts.max()} times in the table')
    both = set(unique.tolist()) & {skip['name'] for skip in packed.manifest['skipped']}
    if both:
        raise DataError(f'{min(both)}: listed as skipped, but the set holds it')


def check_frames(packed: PackedSet) -> None:
    """Every coordinate is finite, and every clip has a person."""
    for i in progress(range(len(packed)), 'checking clips'):
        clip = packed.clip(i)
        if not np.isfinite(clip).all():
            raise DataError(f'{packed.table["name"][i]}: NaN or infinite coordinate')
        if not clip.any():
            raise DataError(f'{packed.table["name"][i]}: all zero, nobody is there')


def protocol_rows(packed: PackedSet) -> list[tuple[str, str, int, int]]:
    """(protocol, rule, training clips, test clips); no clip is on both sides, nor on none unless both are listed."""
    rows = []
    for name, rule in packed.manifest['protocols'].items():
        train, test = split(packed, name)
        if set(train) & set(test) or ('test' not in rule and len(train) + len(test) != len(packed)):
            raise DataError(f'protocol {name!r}: training and test clips overlap or leave clips out')
        rows.append((name, f'by {rule["field"]}', len(train), len(test)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('data', help='folder of the packed set')
    packed = PackedSet.open(parser.parse_args().data)
    packed.verify(again=True)
    check_table(packed)
    check_frames(packed)
    protocols = protocol_rows(packed)
    known = [(field, len(np.unique(packed.table[field]))) for field in FIELDS if (packed.table[field] >= 0).all()]
    counts = [('clip', len(packed)), *known, ('skipped', len(packed.manifest['skipped']))]
    print(tabulate(counts, headers=('column', 'distinct')))
    print()
    print(tabulate(protocols, headers=('protocol', 'split', 'train', 'test')))
    print(f'\n{packed.path} is intact: hashes, table, coordinates and protocols agree')


if __name__ == '__main__':
    cli.run(main)
