"""compare.py on toy configs."""

import json
import re
import sys
from pathlib import Path

import pytest

from skeattn.errors import ConfigError, DataError
from skeattn.experiments import Run
from tests.conftest import ROOT
from tests.engine.toy import tool, write_config, write_set

FATAL = (
    "custom_imports = dict(imports=['tests.faults.kill_hook'])\ncustom_hooks = [dict(type='KillHook', iteration=1)]\n"
)


def write_configs(root: Path) -> None:
    """Two methods, one of them with settings of its own and common ones, over one packed set."""
    write_set(root / 'set')
    for method, lines in (('skeletonclr', ''), ('skeattnclr', 'train_cfg = dict(max_epochs=9)\n')):
        folder = root / 'configs' / method
        folder.mkdir(parents=True)
        config = write_config(folder, method, lines, data=root / 'set')
        config.rename(folder / 'stgcn_toy.py')
    common = "_base_ = './stgcn_toy.py'\ntrain_cfg = dict(max_epochs=3)\n"
    (root / 'configs/skeattnclr/stgcn_toy_common.py').write_text(common)


@pytest.fixture
def compare(tmp_path: Path, monkeypatch):
    """The tool in a checkout of its own, with those configs."""
    write_configs(tmp_path)
    module = tool('compare')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    monkeypatch.setattr(module, 'leave_on_sigterm', lambda: None)

    def start(*arguments: str) -> int:
        monkeypatch.setattr(sys, 'argv', ['compare.py', '--dataset', 'toy', *arguments])
        return module.main()

    module.start = start
    return module


def test_configs_with_common_settings_come_first(compare) -> None:
    found = {'skeattnclr': 'configs/skeattnclr/stgcn_toy_common.py', 'skeletonclr': 'configs/skeletonclr/stgcn_toy.py'}
    assert compare.find_configs('toy') == found
    with pytest.raises(ConfigError, match=r'--dataset tyo: .* there are toy, toy_common'):
        compare.find_configs('tyo')


def test_plan_has_baselines_first_and_then_all_methods_of_a_seed(compare) -> None:
    with Path('configs/skeletonclr/stgcn_toy.py').open('a') as config:
        config.write("stream = ['joint', 'bone']\n")
    configs, options = compare.find_configs('toy'), {'batch_size': 4}
    runs = compare.plan(configs, None, [5, 3], options)
    assert [(run.name, run.seed) for run in runs] == [
        ('raw coordinates', 0),
        *(('untrained encoder', seed) for _ in ('joint', 'joint+bone') for seed in (0, 1, 2)),
        *((name, seed) for seed in (5, 3) for name in ('SkeAttnCLR', 'SkeletonCLR')),
    ]
    assert [run.config for run in runs[1:7:3]] == list(configs.values())
    assert {run.cfg.batch_size for run in runs} == {4}
    assert [run.trained for run in runs] == [False] * 7 + [True] * 4


def test_fewer_methods_have_the_same_baselines(compare) -> None:
    configs = compare.find_configs('toy')
    every, some = (compare.plan(configs, methods, [0], {}) for methods in (None, ['skeletonclr']))
    assert some == [*every[:4], every[5]]
    with pytest.raises(ConfigError, match='--methods moco: no config for it; there are skeattnclr, skeletonclr'):
        compare.plan(configs, ['moco'], [0], {})


def test_methods_that_see_different_numbers_of_clips_are_refused_on_request(compare, monkeypatch) -> None:
    runs = compare.plan(compare.find_configs('toy'), None, [0], {})
    assert [compare.planned_clips(run) for run in runs if run.trained] == [3 * 24] * 2
    assert compare.compare_clips(runs) is None
    own = Run('SkeAttnCLR', 'configs/skeattnclr/stgcn_toy.py', options={'max_iters': 20})
    said = 'methods see different numbers of clips in training: SkeAttnCLR 160, SkeletonCLR 72'
    assert compare.compare_clips([own, runs[-1]]) == said
    Path('configs/skeattnclr/stgcn_toy_common.py').unlink()
    monkeypatch.setattr(compare, 'execute', lambda *_: pytest.fail('trained nevertheless'))
    with pytest.raises(ConfigError, match='SkeAttnCLR 216, SkeletonCLR 72; give them the same'):
        compare.start('--check')


def test_a_set_that_has_to_be_converted_is_named_with_the_command(compare) -> None:
    with pytest.raises(
        DataError, match=r'no packed set at data/ntu60; make it with\s+python tools/convert.py ntu SOURCE'
    ):
        compare.start('--cfg-options', 'dataset.data=data/ntu60')


def untimed(table: str) -> str:
    """A table without its column of seconds."""
    return re.sub(r'\d+\.\d(?=  \d( \d)*$)', '', table, flags=re.MULTILINE)


@pytest.mark.slow
def test_one_table_of_all_methods_and_of_what_is_finished_when_one_fails(compare, capsys) -> None:
    fatal = Path('configs/fatal')
    fatal.mkdir()
    (fatal / 'stgcn_toy.py').write_text("_base_ = '../skeletonclr/stgcn_toy.py'\n" + FATAL)
    assert compare.start('--seeds', '0', '--check') == 1
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
    records = [json.loads(path.read_text()) for path in runs.glob('S*/knn_linear-*.json')]
    assert {record['config'] for record in records} == {
        *('configs/skeattnclr/stgcn_toy_common.py', 'configs/skeletonclr/stgcn_toy.py'),
    }
    assert all(record['training']['seconds_per_epoch'] > 0 for record in records)

    written = {path: path.stat().st_mtime_ns for path in runs.glob('*/knn_linear-*.json')}
    arguments = ('--seeds', '0', '--methods', 'skeattnclr', 'skeletonclr')
    assert compare.start(*arguments) == 0  # without the one that failed
    assert untimed((out / 'table.txt').read_text()) == untimed(table)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    said = capsys.readouterr().out
    assert compare.start(*arguments, '--table-only') == 0
    assert capsys.readouterr().out.split('\n\n')[1] == said.split('\n\n')[1]
