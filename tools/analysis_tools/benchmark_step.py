"""Old name of ``benchmark.py --config CONFIG``: the training step of a config, its views, its features."""

import argparse
import runpy
import sys
from pathlib import Path

NEW = Path(__file__).with_name('benchmark.py')


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument('config')
    top.add_argument('options', nargs=argparse.REMAINDER, help=f'those of {NEW.name}')
    return top


def main() -> None:
    args = parser().parse_args()
    print(f'note: {Path(__file__).name} CONFIG is now {NEW.name} --config CONFIG', file=sys.stderr)
    sys.argv = [str(NEW), '--config', args.config, '--batch', '32', *args.options]
    runpy.run_path(str(NEW), run_name='__main__')


if __name__ == '__main__':
    main()
