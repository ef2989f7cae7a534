"""Old name of ``benchmark.py --config CONFIG``: the training step of a config, its views, its features."""

import argparse
import runpy
import sys
from pathlib import Path

NEW = Path(__file__).with_name('benchmark.py')


def parser() -> argparse.ArgumentParser:
    """The command line; other options are read by the new tool."""
    top = argparse.ArgumentParser(description=f'{__doc__} Other options are those of {NEW.name}.')
    top.add_argument('config')
    top.add_argument('--batch', default='32', help='clips of a step (32)')
    return top


def main() -> None:
    args, others = parser().parse_known_args()
    print(f'note: {Path(__file__).name} CONFIG is now {NEW.name} --config CONFIG', file=sys.stderr)
    sys.argv = [str(NEW), '--config', args.config, '--batch', args.batch, *others]
    runpy.run_path(str(NEW), run_name='__main__')


if __name__ == '__main__':
    main()
