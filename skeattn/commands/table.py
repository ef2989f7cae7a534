"""Produce a table of the paper.

Trains and evaluates the methods of the table, fuses streams, and prints the table beside the paper's figures. The same
command continues after an interruption and repeats no finished run; tables share their trainings.
"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.experiments.options import CELL_METRICS, RUNS, add_options
from skeattn.experiments.paper import STREAMS, TABLES


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn table 1 --dataset nwucla_xview --budget small',
        'skeattn table 2 --dataset demo --seeds 0 --dry-run',
    )
    top.add_argument('table', metavar='TABLE', help=', '.join(TABLES))
    top.add_argument(
        '--protocol', choices=CELL_METRICS, help='evaluation of a table of frozen features (that of the table)'
    )
    add_options(top, small='32 frames, 30 epochs of fine-tuning', methods='those of the table')
    top.add_argument('--streams', nargs='+', choices=STREAMS['3S'], default=STREAMS['3S'], help='all three')
    top.add_argument('--work-dir', type=Path, default=RUNS, metavar='DIR', help=f'of the runs ({RUNS})')
    top.add_argument('--dry-run', '--check-only', action='store_true', help='print the runs, run nothing')
    return top


def main(args: argparse.Namespace) -> int:
    """Carry out the runs and show the table; returns 1 if a run has failed."""
    import skeattn.models  # noqa: F401  registers what a config can name
    from skeattn.datasets import PackedSet
    from skeattn.errors import SkeAttnError
    from skeattn.experiments import command
    from skeattn.experiments.data import prepare_data
    from skeattn.experiments.plan import find_folders, find_table, plan_paper_tables
    from skeattn.experiments.requested import choose, report, show

    clock = command.begin('table')
    table, root = find_table(args.table, args.protocol), args.work_dir
    cells = choose(table, args)
    for folder in find_folders(cells):
        if args.dry_run:
            PackedSet.open(folder)
        else:
            prepare_data(folder, clock.report)
    plan = plan_paper_tables(cells, args.seeds)
    if args.dry_run:
        show(plan, root)
        return 0
    for note in plan.notes:
        clock.report(note)
    failures = command.carry_out(plan.runs, root, args.jobs, clock)
    for ensemble in plan.ensembles:
        try:
            ensemble.make(root)
        except SkeAttnError as error:
            plan.notes.append(str(error))
    name = '_'.join(filter(None, [args.table, args.dataset, args.protocol]))
    out = Path('work_dirs/tables') / name
    report(table, plan, args, out)
    return command.conclude(failures, plan.runs, root, out, clock)
