"""What checkpoints hold, and whether they are intact: ``python tools/verify_checkpoint.py FILE_OR_WORK_DIR ...``.

Of a work_dir all its checkpoints are looked at. The exit status is 1 if one is not intact.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT', help='.pth files, or work_dirs of trainings')
    top.add_argument('--sha256', metavar='DIGEST', help='expected digest of a single file, or the beginning of it')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from pathlib import Path

from tabulate import tabulate

from skeattn.engine.verification import verify_checkpoint
from skeattn.errors import CheckpointError, ConfigError


def main() -> int:
    args = parser().parse_args()
    files = [file for path in args.checkpoints for file in files_of(Path(path))]
    if args.sha256 and len(files) > 1:
        raise ConfigError(f'--sha256 is the digest of one file, and {len(files)} are given')
    broken = 0
    for file in files:
        found = verify_checkpoint(file, args.sha256)
        print(file)
        print(tabulate(found.facts.items(), tablefmt='plain'))
        for fault in found.faults:
            print(f'fault: {fault}')
        print('is damaged\n' if found.faults else 'is intact\n')
        broken += bool(found.faults)
    if broken:
        print(f'{broken} of {len(files)} checkpoints are damaged')
    return 1 if broken else 0


def files_of(path: Path) -> list[Path]:
    """A file, or the checkpoints of a work_dir.

    Raises:
        CheckpointError: the folder has none.
    """
    if not path.is_dir():
        return [path]
    files = sorted(path.glob('*.pth'))
    if not files:
        raise CheckpointError(f'{path} holds no checkpoint')
    return files


if __name__ == '__main__':
    cli.run(main)
