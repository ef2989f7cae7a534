"""Kill trainings, damage files, write at once, train long: the measurements of docs/reliability.md.

    python tools/analysis_tools/torture.py
    python tools/analysis_tools/torture.py --kills 200 --mutations 10000 --minutes 30 --out work_dirs/torture.json

Prints a Markdown table. Where a promise is broken, the exit status is 1 and a line says what makes it happen again: the
seed, the mode and the moment; the folder of such a training is kept.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('--kills', type=int, default=20, help='trainings killed at random moments and resumed (20)')
    top.add_argument('--mutations', type=int, default=500, help='damaged files that are read (500)')
    top.add_argument('--writes', type=int, default=1000, help='writes of two processes to one file (1000)')
    top.add_argument('--minutes', type=float, default=1, help='length of a long training (1); 0 leaves it out')
    top.add_argument('--seed', type=int, default=0, help='of moments and damages (0)')
    top.add_argument('--folder', help='for all files (a temporary one, removed if every promise holds)')
    top.add_argument('--out', metavar='FILE', help='also write a JSON record')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import logging
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skeattn.errors import ConfigError
from skeattn.files import write_json
from skeattn.results.provenance import environment
from skeattn.torture import report


def main() -> int:
    args = parser().parse_args()
    for option in ('kills', 'mutations', 'writes', 'minutes'):
        if getattr(args, option) < 0:
            raise ConfigError(f'--{option} {getattr(args, option)} must be 0 or more')
    folder = Path(args.folder or tempfile.mkdtemp(prefix='torture-'))
    amounts = {
        'kills': (report.kills, args.kills),
        'damages': (report.damages, args.mutations),
        'writers': (report.writers, args.writes),
        'endurance': (report.endurance, args.minutes),
    }
    sections = {}
    with quiet():
        for name, (section, amount) in amounts.items():
            if amount:
                place = folder / name
                place.mkdir(parents=True, exist_ok=True)
                sections[name] = section(place, amount, args.seed, note)
    print(report.table(list(sections.values())))
    faults = [fault for section in sections.values() for fault in section.faults]
    for fault in faults:
        print(f'broken (--seed {args.seed}): {fault}', file=sys.stderr)
    if args.out:
        record = {name: section._asdict() for name, section in sections.items()}
        write_json(args.out, {'seed': args.seed, **environment(), 'sections': record})
    if not faults and not args.folder:
        shutil.rmtree(folder)
    return 1 if faults else 0


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and logs of trainings and readers."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def note(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == '__main__':
    cli.run(main)
