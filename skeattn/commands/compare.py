"""Compare all methods on one data set.

Trains every method with a config for the data set, evaluates all of them beside raw coordinates and the untrained
encoder, and prints KNN and linear accuracy with their cost. The same command continues after an interruption, repeats
no finished run, and gives the same table again.
"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.experiments.options import FROZEN, RUNS, add_options


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn compare --dataset demo',
        'skeattn compare --dataset nwucla_xview --methods skeattnclr aimclr --seeds 0 1 2 --budget small',
    )
    add_options(top, small='clips of 32 frames', methods='all with a config')
    top.add_argument(
        '--protocol',
        nargs='+',
        default=list(FROZEN),
        metavar='NAME',
        help=f'of all rows ({" ".join(FROZEN)})',
    )
    top.add_argument('--work-dir', type=Path, metavar='DIR', help=f'{RUNS}, the table in work_dirs/compare/NAME')
    top.add_argument('--check', action='store_true', help='refuse methods that see different numbers of clips')
    top.add_argument('--table-only', action='store_true', help='run nothing; print the table of the finished runs')
    return top


def main(args: argparse.Namespace) -> int:
    """Carry out the runs and show their table; returns 1 if a run has failed."""
    import skeattn.models  # noqa: F401  registers what a config can name
    from skeattn.datasets.union import folders_of
    from skeattn.errors import ConfigError
    from skeattn.experiments import command
    from skeattn.experiments.comparison import find_configs, plan_comparison, unequal_clips, write_comparison
    from skeattn.experiments.data import prepare_data
    from skeattn.experiments.plan import budget_options, check_models

    clock = command.begin('compare')
    root, out = args.work_dir or RUNS, args.work_dir or Path('work_dirs/compare') / args.dataset
    options = {**budget_options(args.budget), **args.cfg_options}
    runs = plan_comparison(find_configs(args.dataset), args.methods, args.seeds, options, args.protocol)
    for folder in dict.fromkeys(folder for run in runs for folder in folders_of(run.cfg.dataset.data)):
        prepare_data(folder, clock.report)
    check_models(runs)
    unequal = unequal_clips(runs)
    if unequal and args.check:
        raise ConfigError(f'{unequal}; give them the same train_cfg.max_epochs and batch_size')
    if unequal:
        clock.report(f'warning: {unequal}')
    failures = [] if args.table_only else command.carry_out(runs, root, args.jobs, clock)
    write_comparison(runs, args.dataset, root, out)
    return command.conclude(failures, runs, root, out, clock)
