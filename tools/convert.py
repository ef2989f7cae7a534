"""Raw files to a packed set: python tools/convert.py {ntu,nwucla,utdmhad,synthetic} [SOURCE] --out data/NAME"""

import argparse
from collections import Counter

import numpy as np
from tabulate import tabulate

from skeattn import cli
from skeattn.datasets import PackedSet


def ntu(args: argparse.Namespace) -> None:
    """NTU RGB+D (120): a folder of .skeleton files."""
    from skeattn.datasets.converters.ntu import convert

    convert(args.source, args.out, dataset=args.dataset, skip_bad=args.skip_bad, overwrite=args.overwrite)


def nwucla(args: argparse.Namespace) -> None:
    """Northwestern-UCLA: a folder or zip of .json files."""
    from skeattn.datasets.converters.nwucla import convert

    convert(args.source, args.out, skip_bad=args.skip_bad, overwrite=args.overwrite)


def utdmhad(args: argparse.Namespace) -> None:
    """UTD-MHAD: a folder or zip of .mat files."""
    from skeattn.datasets.converters.utdmhad import convert

    convert(args.source, args.out, skip_bad=args.skip_bad, overwrite=args.overwrite)


def synthetic(args: argparse.Namespace) -> None:
    """The embedded set: generated motions, no download."""
    from skeattn.datasets.synthetic import convert

    convert(args.out, seed=args.seed, clips=args.clips, raw=args.raw, overwrite=args.overwrite)


def parser() -> argparse.ArgumentParser:
    """A subcommand per format; a further format is one function above and one line here."""
    top = argparse.ArgumentParser(description=__doc__)
    formats = top.add_subparsers(required=True, metavar='FORMAT')

    def add(convert, source=True):
        sub = formats.add_parser(convert.__name__, help=convert.__doc__, description=convert.__doc__)
        sub.set_defaults(convert=convert)
        if source:
            sub.add_argument('source', metavar='SOURCE', help='folder or zip archive with the raw files')
            sub.add_argument('--skip-bad', action='store_true', help='leave out unusable files instead of stopping')
        sub.add_argument('--out', required=True, help='folder of the packed set, data/NAME')
        sub.add_argument('--overwrite', action='store_true', help='replace a packed set at OUT')
        return sub

    add(ntu).add_argument('--dataset', choices=['ntu60', 'ntu120'], help='default: told by the actions found')
    add(nwucla)
    add(utdmhad)
    generated = add(synthetic, source=False)
    generated.add_argument('--seed', type=int, default=0)
    generated.add_argument('--clips', type=int, default=1200, help='number of clips (1200)')
    generated.add_argument('--raw', metavar='DIR', help='also write the clips as raw NTU .skeleton files')
    return top


def summary(packed: PackedSet) -> str:
    """What the set holds, and what was left out and why."""
    frames, table = packed.table['frames'], packed.table
    rows = [
        ('data set', packed.manifest['dataset']),
        ('layout', packed.layout.name),
        ('clips', len(packed)),
        ('classes', f'{len(np.unique(table["label"]))} of {len(packed.classes)}'),
        ('subjects', len(np.unique(table['subject']))),
        ('cameras', len(np.unique(table['camera']))),
        ('persons', ', '.join(f'{n} clips with {m}' for m, n in sorted(Counter(table['persons'].tolist()).items()))),
        ('frames min / median / max', f'{frames.min()} / {int(np.median(frames))} / {frames.max()}'),
        ('protocols', ', '.join(packed.manifest['protocols'])),
        ('skipped', len(packed.manifest['skipped'])),
    ]
    left_out = [f'  skipped {skip["name"]}: {skip["reason"]}' for skip in packed.manifest['skipped'][:20]]
    more = len(packed.manifest['skipped']) - len(left_out)
    tail = [f'  and {more} more, listed in {packed.path / "manifest.json"}'] if more else []
    return '\n'.join([f'wrote {packed.path}', tabulate(rows, tablefmt='simple'), *left_out, *tail])


def main() -> None:
    args = parser().parse_args()
    args.convert(args)
    print(summary(PackedSet.open(args.out)))


if __name__ == '__main__':
    cli.run(main)
