"""Print a table of the paper from records, ours beside the paper's figures: python tools/tables.py 1

Runs nothing and needs no data set; tools/run_table.py produces missing records. Records are identified by their fields
(config, overrides, seed, protocol, streams), not by their paths.
"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.experiments.options import BUDGETS, CELL_METRICS, FORMATS, RUNS
from skeattn.experiments.paper import TABLES


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('table', metavar='TABLE', help=', '.join(TABLES))
    top.add_argument(
        '--protocol', choices=CELL_METRICS, help='evaluation of a table of frozen features (that of the table)'
    )
    top.add_argument('--dataset', nargs='+', metavar='NAME', help="columns (the paper's, and those with records)")
    top.add_argument('--budget', choices=BUDGETS, help='of the records (all; each has separate columns)')
    top.add_argument('--records', nargs='+', type=Path, metavar='DIR', help=f'folders of records ({RUNS})')
    top.add_argument('--format', choices=FORMATS, default='simple')
    top.add_argument('--export', type=Path, metavar='DIR', help='copy the records of the table to this folder')
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import os
import sys

from skeattn.experiments.paper_tables import export, fill, read_records
from skeattn.experiments.plan import find_table

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    args = parser().parse_args()
    table = find_table(args.table, args.protocol)
    # Paths of configs are relative to the checkout, folders of the user to the current directory.
    folders = [path.resolve() for path in args.records or ()]
    target = args.export and args.export.resolve()
    os.chdir(ROOT)
    records = read_records(folders or [RUNS] * RUNS.is_dir())
    filled = fill(table, records, args.dataset, [args.budget] if args.budget else BUDGETS, args.cfg_options)
    print(filled.render(args.format))
    # A table for a page or a paper is redirected to a file, without the note.
    print(filled.note, file=sys.stdout if args.format == 'simple' else sys.stderr)
    if target:
        print(f'wrote {len(export(filled, target))} records to {args.export}')


if __name__ == '__main__':
    cli.run(main)
