"""MAMP through the Runner: resuming, and the hook of its teacher."""

import math
import shutil

import pytest
import torch

from skeattn.checkpoint import read_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config
from skeattn.engine.hooks import MomentumUpdateHook
from skeattn.errors import ConfigError
from tests.conftest import ROOT
from tests.engine.runs import assert_equal_state, fake_runner, logged
from tests.engine.toy import write_set
from tests.models.masked import masked_config

QUIET = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}
both = pytest.mark.parametrize('target', ['motion', 'latent'])


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('masked') / 'set')


def run(folder, data, target, **options):
    runner = SkeAttnRunner.from_cfg(masked_config(folder, target, data=data, **options))
    runner.train()
    return runner


@pytest.mark.slow
@both
def test_resuming_continues_bit_for_bit(tmp_path, data, target):
    whole, on = tmp_path / 'whole', tmp_path / 'on'
    for folder in (whole, on / 'run'):
        folder.mkdir(parents=True)
    run(whole, data, target, **QUIET)
    shutil.copy(whole / 'run/epoch_1.pth', on / 'run')
    run(on, data, target, resume=True, **QUIET)
    lines = logged(whole / 'run')
    assert len({line['loss'] for line in lines}) == 9 and all(math.isfinite(line['loss']) for line in lines)
    assert logged(on / 'run') == lines[3:]
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_3.pth') for folder in (on, whole)))


def test_the_encoder_is_evaluated(tmp_path, data):
    assert 'knn/top1_k1' in run(tmp_path, data, 'nat').val()


def test_the_teacher_needs_the_hook_and_nothing_else_does(tmp_path, data):
    momentum = dict(type='MomentumUpdateHook')
    with pytest.raises(ConfigError, match=r'default_hooks\.momentum: MAMP has no key encoder; leave the hook out'):
        run(tmp_path, data, 'motion', default_hooks__momentum=momentum, **QUIET)
    with pytest.raises(ConfigError, match=r'keep default_hooks\.momentum='):
        run(tmp_path, data, 'latent', default_hooks__momentum=None, **QUIET)


@pytest.mark.parametrize('key', ['mask_ratio=1.5', 'tau=0', 'decoder.depth=0', 'decoder.ratio=0'])
def test_a_number_out_of_its_range_is_refused_before_the_training(key):
    name, value = key.split('=')
    path = ROOT / 'configs/mamp/transformer_demo.py'
    with pytest.raises(ConfigError, match=rf'model\.{name}={value} must be'):
        read_config(path, {f'model.{name}': float(value) if '.' in value else int(value)})


def test_momentum_may_rise_in_equal_steps():
    hook = MomentumUpdateHook(0.9, schedule='linear')
    values = [hook.momentum(fake_runner(i, 10, 5)) for i in range(11)]
    assert torch.allclose(torch.tensor(values), torch.linspace(0.9, 1, 11))
