"""Early stopping loses nothing, is decided alike by a resumed training, and knows its metric."""

import json
from types import SimpleNamespace

import pytest

from skeattn.checkpoint import find_newest, read_checkpoint
from skeattn.engine.hooks import EarlyStoppingHook
from skeattn.errors import CheckpointError, ConfigError
from tests.engine.toy import toy_runner, write_set

pytestmark = pytest.mark.slow

METRIC = 'knn/top1_k1'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('data') / 'set')


def stopping(folder, data, monitor=METRIC, min_delta=1000.0, patience=1, **options):
    hook = dict(type='EarlyStoppingHook', monitor=monitor, min_delta=min_delta, patience=patience, rule='greater')
    often = dict(evaluation__interval=1, train_cfg__max_epochs=4)
    return toy_runner(folder, data=data, custom_hooks=[hook], **{**often, **options})


def test_the_last_epoch_is_written_whatever_the_interval(tmp_path, data):
    runner = stopping(tmp_path, data, default_hooks__checkpoint__interval=10)
    runner.train()
    assert runner.epoch == 2 and find_newest(tmp_path / 'run').name == 'epoch_2.pth'
    meta = read_checkpoint(tmp_path / 'run/epoch_2.pth')['meta']
    assert (meta['epoch'], meta['iter']) == (2, 6)
    assert [*json.loads((tmp_path / 'run/early_stopping.json').read_text())] == ['1', '2']


def test_a_resumed_training_decides_by_the_evaluations_before(tmp_path, data):
    stopping(tmp_path, data).train()
    again = stopping(tmp_path, data, resume=True)
    again.train()
    assert again.epoch == 2 and not (tmp_path / 'run/epoch_3.pth').exists()
    (tmp_path / 'run/epoch_2.pth').unlink()  # as after a kill in the second epoch
    (tmp_path / 'run/last_checkpoint').write_text('epoch_1.pth')
    killed = stopping(tmp_path, data, resume=True)
    killed.train()
    assert killed.epoch == 2
    on = stopping(tmp_path, data, resume=True, patience=9)
    on.train()
    assert on.epoch == 4 and len(json.loads((tmp_path / 'run/early_stopping.json').read_text())) == 4


def test_scores_of_an_earlier_training_in_the_folder_do_not_count(tmp_path, data):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/early_stopping.json').write_text('{"1": 100000.0}')
    runner = stopping(tmp_path, data)
    runner.train()
    assert runner.epoch == 2


def test_damaged_scores_are_named(tmp_path, data):
    stopping(tmp_path, data).train()
    for content in (b'{"1": "high"', b'{"1": "high"}', b'\xff\xfe', b'[1]', b''):
        (tmp_path / 'run/early_stopping.json').write_bytes(content)
        with pytest.raises(CheckpointError, match=r'early_stopping\.json is damaged: .*; remove it'):
            stopping(tmp_path, data, resume=True).train()


@pytest.mark.parametrize(
    ('monitor', 'options', 'message'),
    [
        ('knn/top1_k99', {}, "EarlyStoppingHook.monitor='knn/top1_k99', but evaluation.evaluators.knn has the metrics"),
        ('lniear/top1', {}, r"EarlyStoppingHook.monitor='lniear/top1', but evaluation.evaluators has only knn"),
        (METRIC, {'evaluation': None}, 'but the training has no evaluation'),
    ],
)
def test_a_metric_that_no_evaluation_delivers_is_refused_before_training(tmp_path, data, monitor, options, message):
    runner = stopping(tmp_path, data, monitor, default_hooks__checkpoint__save_best=None, **options)
    with pytest.raises(ConfigError, match=message):
        runner.train()
    assert runner.iter == 0


def test_a_metric_that_an_evaluator_of_ones_own_does_not_return_is_named():
    hook = EarlyStoppingHook('mine/score', rule='greater')
    with pytest.raises(ConfigError, match="monitor='mine/score' is not among the metrics mine/other"):
        hook.after_val_epoch(SimpleNamespace(_train_loop=object()), {'mine/other': 1.0})
