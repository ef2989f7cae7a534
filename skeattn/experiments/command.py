"""Common parts of the tools that execute the runs of a table, from the command line to the exit status."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.logging import MMLogger

from skeattn import cli
from skeattn.experiments.execute import Failure, execute
from skeattn.experiments.plan import BUDGETS
from skeattn.experiments.process import Clock, leave_on_sigterm
from skeattn.experiments.run import Run
from skeattn.files import write_text


def add_options(parser: argparse.ArgumentParser, small: str, methods: str) -> None:
    """Add the options for data, methods, seeds and budget of a table.

    Args:
        parser: of the tool.
        small: description of the budget ``small``.
        methods: description of the default methods.
    """
    parser.add_argument('--dataset', required=True, metavar='NAME', help='demo, nwucla_xview, ntu60_xsub, …')
    parser.add_argument('--methods', nargs='+', metavar='METHOD', help=f'folders of configs/ ({methods})')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1], help='of the trainings (0 1)')
    parser.add_argument('--jobs', type=int, help='runs at a time (one per GPU, or per core)')
    parser.add_argument('--budget', choices=BUDGETS, default='full', help=f'small: {small}')
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')


def begin(tool: str, checkout: Path) -> Clock:
    """Change to the checkout, which holds the configs, silence mmengine, and end the runs with this process."""
    os.chdir(checkout)
    leave_on_sigterm()
    MMLogger.get_instance(tool, log_level='WARNING')
    return Clock()


def carry_out(runs: Sequence[Run], root: Path, jobs: int | None, clock: Clock) -> list[Failure]:
    """:func:`~skeattn.experiments.execute.execute`, with fewer progress lines if they go to a log."""
    return execute(runs, root, jobs, clock.report, interval_s=10.0 if sys.stdout.isatty() else 60.0)


def show_table(render: Callable[[str], str], notes: str, out: Path) -> None:
    """Print a table, and write it to a folder as ``table.txt`` and ``table.md``.

    Args:
        render: name of a tabulate format -> the table as text.
        notes: text below the table.
        out: the folder.
    """
    text = render('simple')
    write_text(out / 'table.txt', f'{text}\n{notes}\n')
    write_text(out / 'table.md', f'{render("github")}\n\n{notes}\n')
    print(f'\n{text}\n{notes}\n')


def conclude(failures: Sequence[Failure], runs: Sequence[Run], root: Path, out: Path, clock: Clock) -> int:
    """Report failures, the number of finished runs and the folder of the table; returns the exit status."""
    for failure in failures:
        print(f'\nfailed: {failure}', file=sys.stderr)
    finished = sum(run.path(root).is_file() for run in runs)
    clock.report(f'{finished} of {len(runs)} runs are finished; the table is in {out}')
    return 1 if failures else 0
