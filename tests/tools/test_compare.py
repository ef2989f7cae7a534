"""compare.py on toy configs."""

import json
import re
from pathlib import Path

import pytest

from skeattn.errors import ConfigError, DataError
from skeattn.experiments import command
from tests.conftest import ROOT
from tests.engine.toy import call
from tests.experiments.checkout import write_checkout

FATAL = (
    "custom_imports = dict(imports=['tests.faults.kill_hook'])\ncustom_hooks = [dict(type='KillHook', iteration=1)]\n"
)


@pytest.fixture
def compare(tmp_path: Path, monkeypatch):
    """The command in a checkout of its own."""
    monkeypatch.chdir(write_checkout(tmp_path))
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setattr(command, 'leave_on_sigterm', lambda: None)

    def run(*arguments: str) -> int:
        return call('compare', '--dataset', 'toy', *arguments)

    return run


@pytest.mark.slow
def test_methods_that_see_different_numbers_of_clips_are_refused_on_request(compare, monkeypatch) -> None:
    Path('configs/skeattnclr/stgcn_toy_common.py').unlink()
    monkeypatch.setattr(command, 'execute', lambda *_, **__: pytest.fail('trained nevertheless'))
    with pytest.raises(ConfigError, match='SkeAttnCLR 216, SkeletonCLR 72; give them the same'):
        compare('--check')


@pytest.mark.slow
def test_a_set_that_has_to_be_converted_is_named_with_the_command(compare) -> None:
    with pytest.raises(DataError, match=r'no packed set at data/ntu60; make it with\s+skeattn convert ntu SOURCE'):
        compare('--cfg-options', 'dataset.data=data/ntu60')


def untimed(table: str) -> str:
    """A table without its column of seconds."""
    return re.sub(r'\d+\.\d(?=  \d( \d)*$)', '', table, flags=re.MULTILINE)


@pytest.mark.slow
def test_one_table_of_all_methods_and_of_what_is_finished_when_one_fails(compare, capsys) -> None:
    fatal = Path('configs/fatal')
    fatal.mkdir()
    (fatal / 'stgcn_toy.py').write_text("_base_ = '../skeletonclr/stgcn_toy.py'\n" + FATAL)
    assert compare('--seeds', '0', '--check') == 1
    shown = capsys.readouterr()
    assert shown.err.startswith('\nfailed: fatal seed 0 ended with status -9; work_dirs/runs/SkeletonCLR-seed0-')
    out = Path('work_dirs/compare/toy')
    table, results = (out / 'table.txt').read_text(), json.loads((out / 'results.json').read_text())
    assert table in shown.out and 'Every method drew 72 clips in training.' in table
    assert {row['name'] for row in results['rows']} == {
        *('raw coordinates', 'untrained encoder', 'SkeAttnCLR', 'SkeletonCLR'),
    }
    assert len((out / 'table.md').read_text().split('\n\n')[0].splitlines()) == 2 + 4
    runs = Path('work_dirs/runs')
    records = [json.loads(path.read_text()) for path in runs.glob('S*/knn_linear_probe-*.json')]
    assert {record['config'] for record in records} == {
        *('configs/skeattnclr/stgcn_toy_common.py', 'configs/skeletonclr/stgcn_toy.py'),
    }
    assert all(record['training']['seconds_per_epoch'] > 0 for record in records)

    written = {path: path.stat().st_mtime_ns for path in runs.glob('*/knn_linear_probe-*.json')}
    arguments = ('--seeds', '0', '--methods', 'skeattnclr', 'skeletonclr')
    assert compare(*arguments) == 0  # without the one that failed
    assert untimed((out / 'table.txt').read_text()) == untimed(table)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    first = capsys.readouterr().out
    assert compare(*arguments, '--table-only') == 0
    assert capsys.readouterr().out.split('\n\n')[1] == first.split('\n\n')[1]
