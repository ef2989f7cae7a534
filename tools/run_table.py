"""A table of the paper, from nothing: python tools/run_table.py 1 --dataset nwucla_xview --budget small

Trains what the table needs, judges it, fuses streams, and prints the table beside the paper's figures. The same command
goes on after an interruption and repeats nothing that is finished; tables share their trainings. Paths are relative to
the checkout.
"""

import argparse
import os
import sys
from pathlib import Path

from mmengine.logging import MMLogger

import skeattn.models  # noqa: F401  registers what a config can name
from skeattn import cli
from skeattn.datasets import PackedSet
from skeattn.errors import ConfigError, SkeAttnError
from skeattn.experiments import Clock, Plan, execute, prepare_data
from skeattn.experiments.paper import STREAMS, TABLES, Table
from skeattn.experiments.plan import BUDGETS, Cell, add_columns, find_folders, find_table, make_plan
from skeattn.experiments.process import leave_on_sigterm
from skeattn.experiments.run import ROOT as RUNS
from skeattn.experiments.run import TRAINED
from skeattn.experiments.tables import Filled, read_record
from skeattn.files import write_json, write_text

ROOT = Path(__file__).resolve().parent.parent


def choose(table: Table, args: argparse.Namespace) -> list[Cell]:
    """The cells that were asked for."""
    methods = {line.method: None for line in table.lines if line.method}
    unknown = [method for method in args.methods or () if method not in methods]
    if unknown:
        raise ConfigError(f'--methods {unknown[0]}: table {args.table} has {", ".join(methods)}')
    columns = [column for column in add_columns(table, [args.dataset]) if column.dataset == args.dataset]
    lines = [
        line
        for line in table.lines
        if line.method in (args.methods or methods) and set(line.streams) <= set(args.streams)
    ]
    if not lines:
        raise ConfigError(f'--streams {" ".join(args.streams)}: table {args.table} has no line of ours with these')
    return [Cell(table, line, column, args.budget, args.cfg_options) for line in lines for column in columns]


def show(plan: Plan, root: Path) -> None:
    """What would be done."""
    for run in plan.runs:
        finished, trained = run.path(root).is_file(), (run.folder(root) / TRAINED).is_file()
        state = 'finished' if finished else 'to be judged' if trained or not run.trained else 'to be trained'
        print(f'{state:13}  {run}, {" ".join(run.protocols)}: {run.folder(root).name}')
    for fusion in plan.fusions:
        print(f'{"finished" if fusion.path(root).is_file() else "to be made":13}  {fusion}')
    for note in plan.notes:
        print(note)


def report(table: Table, plan: Plan, args: argparse.Namespace, out: Path) -> None:
    """Print the table and write it, with the list of records behind it."""
    records = {path: record for path in plan.records(args.work_dir) if (record := read_record(path))}
    columns = add_columns(table, [args.dataset])
    filled = Filled(table, columns, records, [args.dataset], [args.budget], args.cfg_options)
    text, notes = filled.render(), '\n'.join([filled.note, *plan.notes])
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / 'table.txt', f'{text}\n{notes}\n')
    write_text(out / 'table.md', f'{filled.render("github")}\n\n{notes}\n')
    write_text(out / 'table.tex', f'{filled.render("latex")}\n')
    write_json(out / 'records.json', {'records': [str(path) for path in records]})
    print(f'\n{text}\n{notes}\n')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', metavar='TABLE', help=', '.join(TABLES))
    parser.add_argument('--dataset', required=True, metavar='NAME', help='ntu60_xsub, nwucla_xview, demo, …')
    parser.add_argument('--budget', choices=BUDGETS, default='full', help='small: 32 frames, 30 epochs of fine-tuning')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1], help='of the trainings (0 1)')
    parser.add_argument('--streams', nargs='+', choices=STREAMS['3S'], default=STREAMS['3S'], help='all three')
    parser.add_argument('--methods', nargs='+', metavar='METHOD', help='folders of configs/ (those of the table)')
    parser.add_argument('--jobs', type=int, help='runs at a time (one per GPU, or per core)')
    parser.add_argument('--work-dir', type=Path, default=RUNS, metavar='DIR', help=f'of the runs ({RUNS})')
    parser.add_argument('--dry-run', '--check-only', action='store_true', help='say what would be run, run nothing')
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    os.chdir(ROOT)
    leave_on_sigterm()
    MMLogger.get_instance('run_table', log_level='WARNING')
    clock, table = Clock(), find_table(args.table)
    cells = choose(table, args)
    for folder in find_folders(cells):
        if args.dry_run:
            PackedSet.open(folder)
        else:
            prepare_data(folder, clock.say)
    plan = make_plan(cells, args.seeds)
    if args.dry_run:
        show(plan, args.work_dir)
        return 0
    for note in plan.notes:
        clock.say(note)
    patience = 10.0 if sys.stdout.isatty() else 60.0  # seconds between lines; a log need not be that long
    failures = execute(plan.runs, args.work_dir, args.jobs, clock.say, patience)
    for fusion in plan.fusions:
        try:
            fusion.make(args.work_dir)
        except SkeAttnError as error:
            plan.notes.append(str(error))
    out = Path('work_dirs/tables') / f'{args.table}_{args.dataset}'
    report(table, plan, args, out)
    for failure in failures:
        print(f'\nfailed: {failure}', file=sys.stderr)
    finished = sum(run.path(args.work_dir).is_file() for run in plan.runs)
    clock.say(f'{finished} of {len(plan.runs)} runs are finished; the table is in {out}')
    return 1 if failures else 0


if __name__ == '__main__':
    cli.run(main)
