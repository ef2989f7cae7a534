"""SLiM through the Runner: resuming, the temperature of its teacher."""

import math
import shutil

import pytest

from skeattn.checkpoint import read_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.engine.hooks import TeacherTemperatureHook
from skeattn.errors import ConfigError
from skeattn.protocols.evaluate import Evaluation
from tests.engine.runs import assert_equal_state, fake_runner, logged
from tests.engine.toy import toy_config, write_set
from tests.models.distilled import distilled_config

QUIET = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('distilled') / 'set')


def run(folder, data, **options):
    runner = SkeAttnRunner.from_cfg(distilled_config(folder, data=data, **options))
    runner.train()
    return runner


@pytest.mark.slow
def test_resuming_continues_bit_for_bit(tmp_path, data):
    """The temperature is still rising where the run is resumed."""
    whole, on = tmp_path / 'whole', tmp_path / 'on'
    for folder in (whole, on / 'run'):
        folder.mkdir(parents=True)
    decay = dict(
        param_scheduler=[dict(type='WarmupCosineLR', warmup=1), dict(type='CosineWeightDecay', last=0.2)],
        optim_wrapper__paramwise_cfg=dict(layer_decay=1.0, custom_keys={'prototypes': dict(held=1)}),
        optim_wrapper__clip_grad=dict(type='part', max_norm=3.0),
        optim_wrapper__optimizer=dict(_delete_=True, type='AdamW', lr=0.01, weight_decay=0.04),
    )
    run(whole, data, **QUIET, **decay)
    shutil.copy(whole / 'run/epoch_1.pth', on / 'run')
    run(on, data, resume=True, **QUIET, **decay)
    lines = logged(whole / 'run')
    assert len({line['loss'] for line in lines}) == 9 and all(math.isfinite(line['loss']) for line in lines)
    assert logged(on / 'run') == lines[3:]
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_3.pth') for folder in (on, whole)))


@pytest.mark.slow
def test_the_teacher_is_evaluated_by_both_sources(tmp_path, data):
    assert 'knn/top1_k1' in run(tmp_path, data).val()
    (tmp_path / 'class').mkdir()
    assert 'knn/top1_k1' in run(tmp_path / 'class', data, evaluation__source='class').val()


def test_tokens_alone_are_evaluated_unless_the_class_token_is_asked_for(tmp_path, data):
    cfg = distilled_config(tmp_path, data=data)
    assert list(Evaluation(cfg, readouts=['joints', 'mean']).plan) == ['backbone@joints', 'backbone']
    assert list(Evaluation(cfg, sources=['backbone', 'class']).plan) == ['backbone', 'class']


def test_the_temperature_rises_by_iteration_then_stays():
    hook = TeacherTemperatureHook(0.04, 0.07, rise=0.5)
    values = [hook.temperature(fake_runner(i, 8, 4)) for i in range(8)]
    assert values == pytest.approx([0.04, 0.0475, 0.055, 0.0625, 0.07, 0.07, 0.07, 0.07])
    assert TeacherTemperatureHook(0.04, 0.07, rise=0).temperature(fake_runner(1, 8, 4)) == 0.07


@pytest.mark.slow
def test_a_temperature_that_cannot_be_and_a_model_without_teacher_are_refused(tmp_path, data):
    for wrong in ({'begin': 0}, {'rise': 2}):
        with pytest.raises(ConfigError, match='TeacherTemperatureHook: begin='):
            TeacherTemperatureHook(**wrong)
    cfg = toy_config(tmp_path, data=data, default_hooks__temperature=dict(type='TeacherTemperatureHook'))
    with pytest.raises(ConfigError, match=r'default_hooks\.temperature: SkeAttnCLR has no teacher_temperature'):
        SkeAttnRunner.from_cfg(cfg).train()
