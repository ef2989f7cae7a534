"""All methods on one data set in one table: python tools/compare.py --dataset demo

Trains every method that has a config for the data set, judges all of them beside raw coordinates and the untrained
encoder, and prints KNN and linear accuracy with what they cost. The same command goes on after an interruption, repeats
nothing that is finished, and gives the same table again. Paths are relative to the checkout.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

import skeattn.models  # noqa: F401  registers what a config can name
from skeattn import cli
from skeattn.datasets import PackedSet, split
from skeattn.engine.config import read_config
from skeattn.errors import ConfigError
from skeattn.evaluation.record import environment
from skeattn.experiments import NOTE, Clock, Run, clips_seen, execute, make_rows, prepare_data, render
from skeattn.experiments.plan import BUDGETS, budget_options, check_models, method_name
from skeattn.experiments.process import leave_on_sigterm
from skeattn.experiments.run import ROOT as RUNS
from skeattn.files import write_json, write_text

ROOT = Path(__file__).resolve().parent.parent
RAW, UNTRAINED, UNTRAINED_SEEDS = 'raw coordinates', 'untrained encoder', (0, 1, 2)


def find_configs(dataset: str) -> dict[str, str]:
    """Method -> its config for a data set; one with settings common to all methods comes before its own best."""
    found = {}
    for suffix in ('', '_common'):
        for path in sorted(Path('configs').glob(f'[!_]*/stgcn_{dataset}{suffix}.py')):
            found[path.parent.name] = str(path)
    if not found:
        known = {path.stem.removeprefix('stgcn_') for path in Path('configs').glob('[!_]*/stgcn_*.py')}
        raise ConfigError(f'--dataset {dataset}: no configs/*/stgcn_{dataset}.py; there are {", ".join(sorted(known))}')
    return dict(sorted(found.items()))


def plan(
    configs: dict[str, str], methods: Sequence[str] | None, seeds: Sequence[int], options: dict[str, Any]
) -> list[Run]:
    """What the table is made of: the methods asked for with each seed, and what needs no training.

    The untrained encoder is that of the first config with the same streams, whichever methods are asked for.
    """
    unknown = [method for method in methods or () if method not in configs]
    if unknown:
        raise ConfigError(f'--methods {unknown[0]}: no config for it; there are {", ".join(configs)}')
    runs, references = [], dict[str, str]()
    read = {method: read_config(config, options) for method, config in configs.items()}
    for method, cfg in read.items():
        references.setdefault(str(cfg.stream), configs[method])
    chosen = {method: read[method] for method in methods or configs}
    for seed in seeds:  # outermost, for a first table as soon as possible
        for method, cfg in chosen.items():
            runs.append(Run(method_name(method, cfg), configs[method], seed, options))
    baselines = [Run(RAW, next(iter(configs.values())), 0, options, False, ('raw',))]
    for stream in dict.fromkeys(str(cfg.stream) for cfg in chosen.values()):
        config = references[stream]
        baselines += [Run(UNTRAINED, config, seed, options, False, ('backbone',)) for seed in UNTRAINED_SEEDS]
    return baselines + runs


def planned_clips(run: Run) -> int:
    """How many clips a run draws in training, with repetition."""
    cfg = run.cfg
    train, _ = split(PackedSet.open(cfg.dataset.data), cfg.dataset.split)
    steps = len(train) // cfg.batch_size * cfg.train_cfg.max_epochs
    return min(steps, cfg.get('max_iters') or steps) * cfg.batch_size


def compare_clips(runs: Sequence[Run]) -> str | None:
    """What is wrong where methods draw different numbers of clips."""
    clips = {run.name: planned_clips(run) for run in runs if run.trained}
    if len(set(clips.values())) == 1:
        return None
    listed = ', '.join(f'{name} {number}' for name, number in clips.items())
    return f'methods see different numbers of clips in training: {listed}'


def report(runs: Sequence[Run], dataset: str, root: Path, out: Path) -> int:
    """Print the table of the finished runs and write it; how many these are."""
    found = {run.path(root): record for run in runs if (record := run.record(root))}
    if not found:
        return 0
    rows = make_rows(found.values())
    table, notes = render(rows), f'{NOTE}\n{clips_seen(rows)}'
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / 'table.txt', f'{table}\n{notes}\n')
    write_text(out / 'table.md', f'{render(rows, "github")}\n\n{notes}\n')
    commits = sorted({record.get('commit', 'unknown') for record in found.values()})
    finished = [str(path.relative_to(root)) for path in found]
    facts = {'dataset': dataset, 'rows': [*map(dataclasses.asdict, rows)], 'runs': finished, 'commits': commits}
    write_json(out / 'results.json', {**facts, **environment()})
    print(f'\n{table}\n{notes}\n')
    return len(found)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--dataset', required=True, metavar='NAME', help='demo, nwucla_xview, …')
    parser.add_argument('--methods', nargs='+', metavar='METHOD', help='folders of configs/ (all that have a config)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1], help='of the trainings (0 1)')
    parser.add_argument('--jobs', type=int, help='runs at a time (one per GPU, or per core)')
    parser.add_argument('--budget', choices=BUDGETS, default='full', help='small: clips of 32 frames')
    parser.add_argument('--work-dir', type=Path, metavar='DIR', help=f'{RUNS}, the table in work_dirs/compare/NAME')
    parser.add_argument('--check', action='store_true', help='refuse methods that see different numbers of clips')
    parser.add_argument('--table-only', action='store_true', help='run nothing; the table of what is finished')
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    os.chdir(ROOT)
    leave_on_sigterm()
    MMLogger.get_instance('compare', log_level='WARNING')
    clock, out = Clock(), args.work_dir or Path('work_dirs/compare') / args.dataset
    root = args.work_dir or RUNS
    options = {**budget_options(args.budget), **args.cfg_options}
    runs = plan(find_configs(args.dataset), args.methods, args.seeds, options)
    for folder in dict.fromkeys(run.cfg.dataset.data for run in runs):
        prepare_data(Path(folder), clock.say)
    check_models(runs)
    unequal = compare_clips(runs)
    if unequal and args.check:
        raise ConfigError(f'{unequal}; give them the same train_cfg.max_epochs and batch_size')
    if unequal:
        clock.say(f'warning: {unequal}')
    patience = 10.0 if sys.stdout.isatty() else 60.0  # seconds between lines; a log need not be that long
    failures = [] if args.table_only else execute(runs, root, args.jobs, clock.say, patience)
    finished = report(runs, args.dataset, root, out)
    for failure in failures:
        print(f'\nfailed: {failure}', file=sys.stderr)
    clock.say(f'{finished} of {len(runs)} runs are finished; results in {out}')
    return 1 if failures else 0


if __name__ == '__main__':
    cli.run(main)
