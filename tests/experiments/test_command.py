"""What tools for many runs print, write and return at their end."""

from pathlib import Path

import pytest

from skeattn.experiments.command import conclude, show_table
from skeattn.experiments.execute import Failure
from skeattn.experiments.process import Clock
from tests.experiments.standins import fakes


def test_a_table_is_printed_and_written_with_its_notes(tmp_path: Path, capsys) -> None:
    show_table(lambda fmt: f'a {fmt} table', 'a note', tmp_path / 'deep')
    assert capsys.readouterr().out == '\na simple table\na note\n\n'
    texts = {path.name: path.read_text() for path in (tmp_path / 'deep').iterdir()}
    assert texts == {'table.txt': 'a simple table\na note\n', 'table.md': 'a github table\n\na note\n'}


@pytest.mark.parametrize('failed', [False, True])
def test_the_end_names_failures_and_counts_what_is_finished(tmp_path: Path, capsys, failed: bool) -> None:
    runs = fakes(3)
    runs[1].path(tmp_path).parent.mkdir()
    runs[1].path(tmp_path).touch()
    failures = [Failure(runs[0], 3, Path('run.log'), 'the end')] * failed
    assert conclude(failures, runs, tmp_path, tmp_path / 'out', Clock()) == int(failed)
    shown = capsys.readouterr()
    assert shown.out.endswith(f'1 of 3 runs are finished; the table is in {tmp_path / "out"}\n')
    assert shown.err == '\nfailed: fake0 seed 0 ended with status 3; run.log:\nthe end\n' * failed
