"""test.py as a user runs it."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from skeattn.apis import build_splits, load_model
from skeattn.engine.config import read_config, resolve_config
from skeattn.evaluation import KNNEvaluator, LinearProbe, extract_features, raw_features
from skeattn.evaluation.record import sha256
from tests.conftest import ROOT
from tests.engine.toy import write_config


@pytest.fixture(scope='module')
def run(tmp_path_factory) -> Path:
    """A config, a data set and a checkpoint."""
    folder = tmp_path_factory.mktemp('test_tool')
    torch.manual_seed(5)
    torch.save({'state_dict': load_model(read_config(write_config(folder))).state_dict()}, folder / 'epoch_7.pth')
    return folder


@pytest.fixture
def tool(monkeypatch, capsys):
    def start(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['test.py', *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / 'tools' / 'test.py'), run_name='__main__')
        return ended.value.code, *capsys.readouterr()

    return start


def test_table_and_record_hold_what_the_evaluators_say(run: Path, tool) -> None:
    status, out, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--baselines', '--seed', 4)
    assert status == 0, err
    cfg = resolve_config(read_config(run / 'toy.py'))
    train, test = build_splits(cfg)
    model = load_model(cfg, run / 'epoch_7.pth')
    bank, queries = extract_features(model, train), extract_features(model, test)
    record = json.loads((run / 'test_epoch_7.json').read_text())
    row = record['sources']['backbone']['metrics']
    assert {key: row[f'knn/{key}'] for key in ('top1_k1', 'top1_k5')}.items() <= KNNEvaluator((1, 5))(
        bank, queries
    ).items()
    # The toy config removes the linear probe from training; here it runs in any case, with the seed asked for.
    assert row['linear/top1_best'] == LinearProbe(seed=4)(bank, queries)['top1_best']
    raw = KNNEvaluator((1,))(raw_features(train), raw_features(test))['top1_k1']
    assert record['baselines']['raw coordinates']['knn/top1_k1'] == raw
    assert list(record['baselines']) == ['raw coordinates', 'untrained, 3 seeds']
    assert record['checkpoint_sha256'] == sha256(run / 'epoch_7.pth')
    assert (record['seed'], record['protocol'], record['stream']) == (4, 'xsub', 'joint')
    table = [line.split() for line in out.splitlines()]
    assert ['K=1', 'K=5', 'held-out', 'K', 'last', 'epoch', 'best', 'on', 'test', 'held-out', 'epoch'] in table
    assert any(line[:2] == ['epoch_7', f'{row["knn/top1_k1"]:.1f}'] for line in table)


def test_source_and_overrides_reach_model_and_record(run: Path, tool) -> None:
    line = (run / 'toy.py', run / 'epoch_7.pth', '--source', 'projector', '--out', run / 'deep' / 'b.json')
    status, out, err = tool(*line, '--cfg-options', 'stream=bone')
    assert status == 0, err
    record = json.loads((run / 'deep' / 'b.json').read_text())
    assert (record['stream'], record['cfg_options']) == ('bone', {'stream': 'bone'})
    assert record['sources']['projector']['streams'] == ['bone']
    cfg = resolve_config(read_config(run / 'toy.py', {'stream': 'bone'}))
    model = load_model(cfg, run / 'epoch_7.pth')
    features = [extract_features(model, dataset, source='projector') for dataset in build_splits(cfg)]
    found = record['sources']['projector']['metrics']['knn/top1_k5']
    assert found == KNNEvaluator((5,))(*features)['top1_k5']
    assert 'bone stream' in out


@pytest.mark.parametrize(
    ('config', 'checkpoint', 'message'),
    [
        ('nowhere.py', 'epoch_7.pth', 'nowhere.py'),
        ('toy.py', 'nowhere.pth', 'nowhere.pth: no such checkpoint'),
        ('toy.py', 'toy.py', 'toy.py'),
    ],
)
def test_what_a_user_can_cure_ends_without_traceback(
    run: Path, tool, config: str, checkpoint: str, message: str
) -> None:
    status, _, err = tool(run / config, run / checkpoint)
    assert status == 2
    assert err.startswith('error: ') and message in err
