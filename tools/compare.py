"""Compare all methods on one data set: python tools/compare.py --dataset demo

Trains every method with a config for the data set, evaluates all of them beside raw coordinates and the untrained
encoder, and prints KNN and linear accuracy with their cost. The same command continues after an interruption, repeats
no finished run, and gives the same table again. Paths are relative to the checkout.
"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.experiments.options import FROZEN, RUNS, add_options


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import dataclasses
from collections.abc import Sequence
from functools import partial

import skeattn.models  # noqa: F401  registers what a config can name
from skeattn.datasets.union import folders_of
from skeattn.errors import ConfigError
from skeattn.experiments.command import begin, carry_out, conclude, show_table
from skeattn.experiments.comparison import (
    NOTE,
    clips_seen,
    find_configs,
    make_rows,
    plan_comparison,
    render,
    unequal_clips,
)
from skeattn.experiments.data import prepare_data
from skeattn.experiments.plan import budget_options, check_models
from skeattn.experiments.run import Run
from skeattn.files import write_json
from skeattn.results.provenance import environment

ROOT = Path(__file__).resolve().parent.parent


def report(runs: Sequence[Run], dataset: str, root: Path, out: Path) -> None:
    """Print the table of the finished runs and write it, with its numbers."""
    records = {run.path(root): record for run in runs if (record := run.record(root))}
    if not records:
        return
    rows = make_rows(records.values())
    show_table(partial(render, rows), f'{NOTE}\n{clips_seen(rows)}', out)
    commits = sorted({record.commit or 'unknown' for record in records.values()})
    finished = [str(path.relative_to(root)) for path in records]
    facts = {'dataset': dataset, 'rows': [*map(dataclasses.asdict, rows)], 'runs': finished, 'commits': commits}
    write_json(out / 'results.json', {**facts, **environment()})


def main() -> int:
    args = parser().parse_args()
    clock = begin('compare', ROOT)
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
    failures = [] if args.table_only else carry_out(runs, root, args.jobs, clock)
    report(runs, args.dataset, root, out)
    return conclude(failures, runs, root, out, clock)


if __name__ == '__main__':
    cli.run(main)
