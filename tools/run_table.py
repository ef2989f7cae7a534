"""Produce a table of the paper: python tools/run_table.py 1 --dataset nwucla_xview --budget small

Trains and evaluates the methods of the table, fuses streams, and prints the table beside the paper's figures. The same
command continues after an interruption and repeats no finished run; tables share their trainings. Paths are relative to
the checkout.
"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.experiments.options import CELL_METRICS, RUNS, add_options
from skeattn.experiments.paper import STREAMS, TABLES, PaperTable


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('table', metavar='TABLE', help=', '.join(TABLES))
    top.add_argument(
        '--protocol', choices=CELL_METRICS, help='evaluation of a table of frozen features (that of the table)'
    )
    add_options(top, small='32 frames, 30 epochs of fine-tuning', methods='those of the table')
    top.add_argument('--streams', nargs='+', choices=STREAMS['3S'], default=STREAMS['3S'], help='all three')
    top.add_argument('--work-dir', type=Path, default=RUNS, metavar='DIR', help=f'of the runs ({RUNS})')
    top.add_argument('--dry-run', '--check-only', action='store_true', help='print the runs, run nothing')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import skeattn.models  # noqa: F401  registers what a config can name
from skeattn.datasets import PackedSet
from skeattn.errors import ConfigError, SkeAttnError
from skeattn.experiments.baselines import baseline_lines, readout_of
from skeattn.experiments.command import begin, carry_out, conclude, show_table
from skeattn.experiments.data import prepare_data
from skeattn.experiments.paper_tables import FilledTable, read_record
from skeattn.experiments.plan import (
    Cell,
    Plan,
    add_columns,
    find_folders,
    find_table,
    plan_paper_tables,
)
from skeattn.experiments.run import TRAINED
from skeattn.files import write_json, write_text

ROOT = Path(__file__).resolve().parent.parent


def choose(table: PaperTable, args: argparse.Namespace) -> list[Cell]:
    """The requested cells, and those of the baselines."""
    methods = {line.method: None for line in table.lines if line.method}
    unknown = [method for method in args.methods or () if method not in methods]
    if unknown:
        raise ConfigError(f'--methods {unknown[0]}: not in table {args.table}; choose from {", ".join(methods)}')
    columns = [column for column in add_columns(table, [args.dataset]) if column.dataset == args.dataset]
    lines = [
        line
        for line in table.lines
        if line.method in (args.methods or methods) and set(line.streams) <= set(args.streams)
    ]
    if not lines:
        streams = ' or '.join(dict.fromkeys(' '.join(line.streams) for line in table.lines if line.method))
        raise ConfigError(
            f'--streams {" ".join(args.streams)}: table {args.table} has no such line of ours; choose {streams}'
        )
    baselines = baseline_lines(table, readout_of(args.cfg_options, table.protocol))
    lines += [line for line in baselines if line.source or set(line.streams) <= set(args.streams)]
    return [Cell(table, line, column, args.budget, args.cfg_options) for line in lines for column in columns]


def show(plan: Plan, root: Path) -> None:
    """Print the runs and ensembles of a plan with their state."""
    for run in plan.runs:
        finished, trained = run.path(root).is_file(), (run.folder(root) / TRAINED).is_file()
        state = 'finished' if finished else 'to be evaluated' if trained or not run.trained else 'to be trained'
        print(f'{state:15}  {run}, {" ".join(run.protocols)}: {run.folder(root).name}')
    for ensemble in plan.ensembles:
        print(f'{"finished" if ensemble.path(root).is_file() else "to be fused":15}  {ensemble}')
    for note in plan.notes:
        print(note)


def report(table: PaperTable, plan: Plan, args: argparse.Namespace, out: Path) -> None:
    """Print the table and write it, with the list of its records."""
    records = {path: record for path in plan.records(args.work_dir) if (record := read_record(path))}
    columns = add_columns(table, [args.dataset])
    filled = FilledTable(table, columns, records, [args.dataset], [args.budget], args.cfg_options)
    show_table(filled.render, '\n'.join([filled.note, *plan.notes]), out)
    write_text(out / 'table.tex', f'{filled.render("latex")}\n')
    write_json(out / 'records.json', {'records': [str(path) for path in records]})


def main() -> int:
    args = parser().parse_args()
    clock = begin('run_table', ROOT)
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
    failures = carry_out(plan.runs, root, args.jobs, clock)
    for ensemble in plan.ensembles:
        try:
            ensemble.make(root)
        except SkeAttnError as error:
            plan.notes.append(str(error))
    name = '_'.join(filter(None, [args.table, args.dataset, args.protocol]))
    out = Path('work_dirs/tables') / name
    report(table, plan, args, out)
    return conclude(failures, plan.runs, root, out, clock)


if __name__ == '__main__':
    cli.run(main)
