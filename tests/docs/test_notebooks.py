"""The notebooks run from their own folder, and are stored without outputs."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / 'docs/notebooks').glob('*.ipynb'))


def code_of(path: Path) -> list[dict]:
    """Its cells of code."""
    return [cell for cell in json.loads(path.read_text())['cells'] if cell['cell_type'] == 'code']


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_cleared_and_no_line_is_too_long(path: Path) -> None:
    for cell in code_of(path):
        assert cell['outputs'] == [] and cell['execution_count'] is None
        assert all(len(line.rstrip()) <= 120 for line in cell['source'])
    assert path.stat().st_size < 20_000


@pytest.mark.slow
@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, monkeypatch, capsys, tmp_path: Path) -> None:
    pytest.importorskip('matplotlib').use('agg')
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    names: dict = {'__name__': '__main__'}
    for number, cell in enumerate(code_of(path), 1):
        exec(compile(''.join(cell['source']), f'{path.name}, cell {number}', 'exec'), names)
    printed = capsys.readouterr().out
    assert 'right: ' in printed and "layout 'ntu25' has joints that layout 'coco17' lacks: " in printed
