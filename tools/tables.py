"""Print a table of the paper from records, ours beside the paper's figures: python tools/tables.py 1

Runs nothing and needs no data set; tools/run_table.py produces missing records. Records are identified by their fields
(config, overrides, seed, protocol, streams), not by their paths.
"""

import argparse
import os
import sys
from pathlib import Path

from skeattn import cli
from skeattn.experiments.paper import TABLES
from skeattn.experiments.paper_tables import FORMATS, export, fill, read_records
from skeattn.experiments.plan import BUDGETS, CELL_METRICS, find_table
from skeattn.experiments.run import RUNS

ROOT = Path(__file__).resolve().parent.parent


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', metavar='TABLE', help=', '.join(TABLES))
    parser.add_argument(
        '--protocol', choices=CELL_METRICS, help='evaluation of a table of frozen features (that of the table)'
    )
    parser.add_argument('--dataset', nargs='+', metavar='NAME', help="columns (the paper's, and those with records)")
    parser.add_argument('--budget', choices=BUDGETS, help='of the records (all; each has separate columns)')
    parser.add_argument('--records', nargs='+', type=Path, metavar='DIR', help=f'folders of records ({RUNS})')
    parser.add_argument('--format', choices=FORMATS, default='simple')
    parser.add_argument('--export', type=Path, metavar='DIR', help='copy the records of the table to this folder')
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
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
