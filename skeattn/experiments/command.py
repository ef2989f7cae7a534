"""Common parts of the tools that execute the runs of a table, from their start to the exit status."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.logging import MMLogger

from skeattn.experiments.execute import Failure, execute
from skeattn.experiments.process import Clock, leave_on_sigterm
from skeattn.experiments.run import Run
from skeattn.files import write_text


def begin(tool: str) -> Clock:
    """Silence mmengine, and end the runs with this process."""
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
