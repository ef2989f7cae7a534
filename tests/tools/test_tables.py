"""tables.py on the command line; what fills a cell is tested with skeattn.experiments."""

import json
from pathlib import Path
from statistics import mean, stdev

import pytest

from skeattn.errors import ConfigError, DataError
from tests.conftest import ROOT
from tests.engine.toy import call
from tests.experiments.records import OURS, SMALL, record

RESULTS = ROOT / 'docs/results/compare_nwucla_xview'


@pytest.fixture
def tables(tmp_path: Path, monkeypatch, capsys):
    """The tool, called in a folder of the user's."""
    monkeypatch.chdir(tmp_path)

    def show(*arguments: str) -> str:
        call('tables', *arguments)
        return capsys.readouterr().out

    return show


def write(folder: Path, *records: dict) -> None:
    folder.mkdir()
    for i, item in enumerate(records):
        (folder / f'{i}.json').write_text(json.dumps(item))


def test_records_lie_where_the_user_says_and_are_copied_where_he_says(tables, tmp_path: Path) -> None:
    ablated = record(OURS, 0, 60.0, options={**SMALL, 'model.mu': '1.0'})
    write(tmp_path / 'mine', record(OURS, 0, 70.0), record(OURS, 1, 74.0), ablated)
    shown = tables('1', '--records', 'mine', '--export', 'copies', '--format', 'github')
    assert '| 72.0 ± 2.8 (2) |' in ' '.join(shown.split())
    assert shown.endswith('wrote 2 records to copies\n')
    again = tables('1', '--records', 'copies', '--format', 'github')
    assert shown.startswith(again)
    latex = tables('7', '--records', 'mine', '--format', 'latex', '--dataset', 'nwucla_xview')
    assert r'\bottomrule' in latex and 'paper' not in latex and '60.0 (1)' in latex


def test_the_committed_comparison_holds_cells_of_table_3(tables) -> None:
    """Records written for another table."""
    options = ('--dataset', 'nwucla_xview', '--cfg-options', 'evaluation.readout=joints', '--format', 'github')
    lines = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in tables('3', '--records', str(RESULTS), *options).splitlines()
        if line.startswith('|')
    ]
    column = lines[0].index(next(head for head in lines[0] if head.endswith('ours, small, joints')))
    rows = {tuple(line[:2]): line[column] for line in lines}
    values = [json.loads((RESULTS / f'aimclr_seed{seed}.json').read_text()) for seed in (0, 1, 2)]
    numbers = [item['sources']['backbone@joints']['metrics']['linear/top1'] for item in values]
    assert rows['AimCLR', 'J'] == f'{mean(numbers):.1f} ± {stdev(numbers):.1f} (3)'
    assert rows['AimCLR', '3S'] == '–'


def test_what_is_not_there_is_said(tables) -> None:
    with pytest.raises(ConfigError, match="no table '0'; choose from 1"):
        tables('0')
    with pytest.raises(DataError, match=r'no folder .*nowhere with records'):
        tables('1', '--records', 'nowhere')
    with pytest.raises(ConfigError, match='--dataset moon: no config for it; choose from demo'):
        tables('1', '--dataset', 'moon')
