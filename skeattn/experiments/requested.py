"""A table of the paper as a command line requests it: its cells, the state of its runs, its files."""

import argparse
from pathlib import Path

from skeattn.errors import ConfigError
from skeattn.experiments.baselines import baseline_lines, readout_of
from skeattn.experiments.command import show_table
from skeattn.experiments.paper import PaperTable
from skeattn.experiments.paper_tables import FilledTable
from skeattn.experiments.plan import Cell, Plan, add_columns
from skeattn.experiments.run import TRAINED
from skeattn.files import write_json, write_text


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
    records = plan.records(args.work_dir)
    columns = add_columns(table, [args.dataset])
    filled = FilledTable(table, columns, records, [args.dataset], [args.budget], args.cfg_options)
    show_table(filled.render, '\n'.join([filled.note, *plan.notes]), out)
    write_text(out / 'table.tex', f'{filled.render("latex")}\n')
    write_json(out / 'records.json', {'records': [str(path) for path in records]})
