"""Export a packed set to a format of other toolboxes: python tools/export.py pyskl data/NAME --out NAME.pkl"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.datasets import PackedSet
from skeattn.datasets.converters import pyskl
from skeattn.errors import DataError
from skeattn.files import write_text

# A new format needs only a line here.
FORMATS = {'pyskl': pyskl.export}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('format', choices=FORMATS)
    parser.add_argument('data', help='folder of the packed set')
    parser.add_argument('--out', required=True, type=Path, help='file to write')
    parser.add_argument('--classes', type=Path, help='also write the class names to this text file, one per line')
    parser.add_argument('--overwrite', action='store_true', help='replace files that exist')
    args = parser.parse_args()
    for path in filter(None, (args.out, args.classes)):
        if path.exists() and not args.overwrite:
            raise DataError(f'{path} exists already; choose a different name or pass --overwrite')
    packed = PackedSet.open(args.data)
    packed.verify()
    FORMATS[args.format](packed, args.out)
    if args.classes:
        write_text(args.classes, '\n'.join([*packed.classes, '']))
    print(f'wrote {args.out}: {len(packed)} clips, channels {", ".join(packed.channels)}')


if __name__ == '__main__':
    cli.run(main)
