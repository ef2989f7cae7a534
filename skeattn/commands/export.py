"""Export a packed set to a format of other toolboxes."""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.datasets import PackedSet
from skeattn.datasets.converters import pyskl
from skeattn.errors import DataError
from skeattn.files import write_text

# A new format needs only a line here.
FORMATS = {'pyskl': pyskl.export}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn export pyskl data/nwucla --out nwucla.pkl',
        'skeattn export pyskl data/mine --out mine.pkl --classes mine.txt --overwrite',
    )
    top.add_argument('format', choices=FORMATS)
    top.add_argument('data', help='folder of the packed set')
    top.add_argument('--out', required=True, type=Path, help='file to write')
    top.add_argument('--classes', type=Path, help='also write the class names to this text file, one per line')
    top.add_argument('--overwrite', action='store_true', help='replace files that exist')
    return top


def main(args: argparse.Namespace) -> None:
    """Write the files."""
    for path in filter(None, (args.out, args.classes)):
        if path.exists() and not args.overwrite:
            raise DataError(f'{path} exists already; choose a different name or pass --overwrite')
    packed = PackedSet.open(args.data)
    packed.verify()
    FORMATS[args.format](packed, args.out)
    if args.classes:
        write_text(args.classes, '\n'.join([*packed.classes, '']))
    print(f'wrote {args.out}: {len(packed)} clips, channels {", ".join(packed.channels)}')
