"""test.py as a user runs it."""

import json
import re
import runpy
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from skeattn.apis import build_splits, load_model
from skeattn.engine.config import read_config, resolve_config
from skeattn.evaluation import KNNEvaluator, LinearProbe, extract_features, raw_features
from skeattn.evaluation.baselines import untrained
from skeattn.evaluation.complexity import encoder_cost, sample_batch
from skeattn.evaluation.record import sha256
from skeattn.experiments import make_rows
from tests.conftest import ROOT
from tests.engine.toy import CLASSES, write_config


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


def written(out: str) -> dict:
    """The record that the tool says it wrote."""
    return json.loads(Path(re.search(r'^wrote (.+)$', out, re.M)[1]).read_text())


def test_table_and_record_hold_what_the_evaluators_say(run: Path, tool) -> None:
    status, out, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--baselines', '--seed', 4)
    assert status == 0, err
    cfg = resolve_config(read_config(run / 'toy.py'))
    train, test = build_splits(cfg)
    model = load_model(cfg, run / 'epoch_7.pth')
    bank, queries = extract_features(model, train), extract_features(model, test)
    record = written(out)
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
    assert ['K=1', 'K=5', 'held-out', 'K'] in table
    assert ['last', 'epoch', 'best', 'on', 'test', 'held-out', 'epoch'] in table
    for protocol, columns in (('knn', ('k1', 'k5', 'heldout')), ('linear', ('', 'best', 'heldout'))):
        numbers = [f'{row[f"{protocol}/top1_{column}".rstrip("_")]:.1f}' for column in columns]
        assert ['epoch_7', *numbers] in table


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


def test_a_work_dir_stands_for_its_newest_checkpoint(run: Path, tool) -> None:
    facts = json.dumps({'name': 'mine', 'config': 'configs/original.py'})
    status, _, err = tool(run / 'toy.py', run, '--facts', facts, '--out', run / 'newest.json')
    assert status == 0, err
    record = json.loads((run / 'newest.json').read_text())
    assert (record['checkpoint'], record['name'], record['config']) == ('epoch_7.pth', 'mine', 'configs/original.py')
    status, _, err = tool(run / 'toy.py', run / 'set')
    assert status == 2 and 'set holds no checkpoint; train first' in err


def test_untrained_network_and_coordinates_are_judged_without_a_checkpoint(run: Path, tool) -> None:
    line = (run / 'toy.py', 'untrained', '--seed', 2, '--out', run / 'untrained.json')
    status, out, err = tool(*line, '--source', 'raw', '--source', 'projector')
    assert status == 0, err
    record = json.loads((run / 'untrained.json').read_text())
    assert (record['checkpoint'], record['training'], record['seed']) == (None, None, 2)
    cfg = resolve_config(read_config(run / 'toy.py'))
    train, test = build_splits(cfg)
    model = untrained(partial(load_model, cfg), train, 2, source='projector')
    for source, features in (
        ('raw', [raw_features(part) for part in (train, test)]),
        ('projector', [extract_features(model, part, source='projector') for part in (train, test)]),
    ):
        metrics = record['sources'][source]['metrics']
        assert metrics['linear/top1'] == LinearProbe(seed=2)(*features)['top1']
        assert any(row.startswith(f'untrained, seed 2, {source}') for row in out.splitlines())
    assert (record['sources']['raw']['parameters'], record['sources']['raw']['gmacs']) == (0, 0)
    assert record['sources']['projector'].items() >= encoder_cost(model, sample_batch(train), 'projector').items()


def test_a_classifier_is_judged_by_features_and_by_its_own_logits(tmp_path: Path, tool) -> None:
    model = "dict(_delete_=True, type='Recognizer', head=dict(type='LinearHead'), " \
            "backbone=dict(type='STGCN', base_channels=2, out_channels=8), " \
            "data_preprocessor=dict(type='SkeletonPreprocessor', views=dict(query=dict())))"  # fmt: skip
    base = write_config(tmp_path, 'skeletonclr')
    config = tmp_path / 'supervised.py'
    config.write_text(f'_base_ = {str(base)!r}\nnum_classes = {CLASSES}\nmodel = {model}\n')
    network = load_model(read_config(config))
    torch.save({'state_dict': network.state_dict()}, tmp_path / 'a.pth')
    status, out, err = tool(config, tmp_path / 'a.pth')
    assert status == 0, err
    record = written(out)
    assert list(record['sources']) == ['backbone', 'logits']
    logits = extract_features(network, build_splits(resolve_config(read_config(config)))[1], source='logits')
    top1 = 100 * (logits.x.argmax(1) == logits.labels).double().mean().item()
    assert record['sources']['logits']['metrics'] == {'topk/top1': pytest.approx(top1)}
    assert {'knn/top1_k1', 'linear/top1'} <= record['sources']['backbone']['metrics'].keys()
    assert record['training']['parameters'] == sum(p.numel() for p in network.parameters())
    assert {row.name for row in make_rows([record])} == {'Recognizer', 'Recognizer, own classifier'}


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
