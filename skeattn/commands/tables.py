"""Print a table of the paper from records, ours beside the paper's figures.

Runs nothing and needs no data set; ``skeattn table`` produces missing records. Records are identified by their fields
(config, overrides, seed, protocol, streams), not by their paths.
"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.experiments.options import BUDGETS, CELL_METRICS, FORMATS, RUNS
from skeattn.experiments.paper import TABLES


def parser(root: Path = Path()) -> argparse.ArgumentParser:
    """The command line; the default folder of records lies in ``root``."""
    top = cli.command_parser(
        __doc__,
        'skeattn tables 1',
        'skeattn tables 1 --dataset nwucla_xview --records docs/results/table1_nwucla_xview --format github',
    )
    top.add_argument('table', metavar='TABLE', help=', '.join(TABLES))
    top.add_argument(
        '--protocol', choices=CELL_METRICS, help='evaluation of a table of frozen features (that of the table)'
    )
    top.add_argument('--dataset', nargs='+', metavar='NAME', help="columns (the paper's, and those with records)")
    top.add_argument('--budget', choices=BUDGETS, help='of the records (all; each has separate columns)')
    runs = [root / RUNS] * (root / RUNS).is_dir()
    text = f'folders of records ({RUNS})'
    top.add_argument('--records', nargs='+', type=Path, default=runs, metavar='DIR', help=text)
    top.add_argument('--format', choices=FORMATS, default='simple')
    top.add_argument('--export', type=Path, metavar='DIR', help='copy the records of the table to this folder')
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return top


def main(args: argparse.Namespace) -> None:
    """Print the table, and copy its records if requested."""
    import sys

    from skeattn.experiments.paper_tables import export, fill, read_records
    from skeattn.experiments.plan import find_table

    table = find_table(args.table, args.protocol)
    records = read_records(args.records)
    filled = fill(table, records, args.dataset, [args.budget] if args.budget else BUDGETS, args.cfg_options)
    print(filled.render(args.format))
    # A table for a page or a paper is redirected to a file, without the note.
    print(filled.note, file=sys.stdout if args.format == 'simple' else sys.stderr)
    if args.export:
        print(f'wrote {len(export(filled, args.export))} records to {args.export}')
