"""Switches of speed."""

import pytest
import torch

from skeattn.engine import SkeAttnRunner
from skeattn.engine.amp import AutocastOptimWrapper
from skeattn.engine.config import evaluates_in_autocast, read_config, resolve_config
from skeattn.engine.speed import WRAPPER, fused, set_precision, speed_choices, wrapper_settings
from skeattn.errors import ConfigError
from tests.engine.toy import toy_config

LARGE, SMALL = 'configs/skeattnclr/stgcn_ntu60_xsub.py', 'configs/skeattnclr/stgcn_demo.py'
CUDA, CPU = torch.device('cuda'), torch.device('cpu')


@pytest.fixture(params=['GPU', 'slow GPU', 'CPU', 'slow CPU'])
def device(request, monkeypatch):
    """A GPU or a processor, with bfloat16 in hardware or without."""
    gpu, fast = request.param.endswith('GPU'), not request.param.startswith('slow')
    monkeypatch.setattr('skeattn.engine.speed.gpu_bfloat16', lambda: fast if gpu else None)
    monkeypatch.setattr('skeattn.engine.speed.cpu_bfloat16', lambda: fast)
    return request.param


@pytest.mark.parametrize(('amp', 'expected'), [(True, True), (False, False), ('auto', None), (None, False)])
def test_large_sets_train_in_bfloat16_where_the_gpu_has_it(amp, expected, device):
    cfg = resolve_config(read_config(LARGE, {'amp': amp}))
    expected = device == 'GPU' if expected is None else expected
    assert cfg.optim_wrapper.type == ('AutocastOptimWrapper' if expected else 'OptimWrapper')
    assert evaluates_in_autocast(cfg) is expected
    assert resolve_config(cfg).optim_wrapper.type == cfg.optim_wrapper.type


@pytest.mark.parametrize(('amp', 'expected'), [(True, True), (False, False), ('auto', None), (None, True)])
def test_small_sets_train_in_bfloat16_unless_it_would_be_emulated(amp, expected, device):
    cfg = resolve_config(read_config(SMALL, {'amp': amp}))
    expected = not device.startswith('slow') if expected is None else expected
    assert cfg.optim_wrapper.type == ('AutocastOptimWrapper' if expected else 'OptimWrapper')


@pytest.mark.parametrize('amp', [0.5, 'bfloat16'])
def test_an_unknown_value_is_refused(amp):
    with pytest.raises(ConfigError, match='choose True, False or "auto"'):
        set_precision({}, amp)


def test_a_wrapper_of_another_type_keeps_its_precision(device):
    options = {'optim_wrapper.type': 'AmpOptimWrapper'}
    assert resolve_config(read_config(LARGE, options)).optim_wrapper.type == 'AmpOptimWrapper'
    with pytest.raises(ConfigError, match=r"amp=True, but optim_wrapper\.type='AmpOptimWrapper'"):
        resolve_config(read_config(LARGE, options | {'amp': True}))


def test_the_class_itself_is_a_wrapper_too(tmp_path):
    cfg = toy_config(tmp_path)
    cfg.amp = False
    cfg.optim_wrapper.type = AutocastOptimWrapper
    assert resolve_config(cfg).optim_wrapper.type == 'OptimWrapper'


def test_optimisers_are_fused_on_a_gpu_unless_the_config_chooses():
    sgd = {'type': 'SGD', 'lr': 0.1}
    assert fused(sgd, CPU) == sgd
    assert fused(sgd, CUDA) == {**sgd, 'fused': True}
    assert fused({**sgd, 'foreach': True}, CUDA) == {**sgd, 'foreach': True}
    assert fused({'type': 'LBFGS'}, CUDA) == {'type': 'LBFGS'}


def test_the_precision_of_matrix_products_is_that_of_the_config(tmp_path):
    before = torch.get_float32_matmul_precision()
    try:
        for precision in ('high', 'highest'):
            cfg = toy_config(tmp_path)
            cfg.work_dir, cfg.env_cfg = str(tmp_path / precision), {'matmul_precision': precision}
            SkeAttnRunner.from_cfg(cfg)
            assert torch.get_float32_matmul_precision() == precision
        cfg.env_cfg = {'matmul_precision': 'best'}
        with pytest.raises(ConfigError, match=r'env_cfg\.matmul_precision'):
            SkeAttnRunner.from_cfg(cfg)
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_wrapper_of_the_config_changes_ours_and_one_of_another_type_replaces_it():
    ours = {**WRAPPER, 'find_unused_parameters': True}
    assert wrapper_settings(None, True) == wrapper_settings({}, True) == ours
    assert wrapper_settings({'static_graph': True}, True) == {**ours, 'static_graph': True}
    assert wrapper_settings({'broadcast_buffers': True})['broadcast_buffers'] is True
    assert wrapper_settings({'find_unused_parameters': False}, True)['find_unused_parameters'] is False
    assert wrapper_settings({'type': 'MMFullyShardedDataParallel'}) == {'type': 'MMFullyShardedDataParallel'}


def test_choices_name_the_switches_and_their_values(device):
    choices = speed_choices(resolve_config(read_config(LARGE, {'dataset.device': 'cpu'})))
    emulated = 'single precision; bfloat16 is not in the hardware'
    words = {'GPU': 'forward pass in bfloat16', 'CPU': 'single precision'}
    assert choices['amp'] == ('auto', words.get(device, emulated))
    assert {name: value for name, (value, _) in choices.items() if name != 'amp'} == {
        'env_cfg.matmul_precision': 'highest', 'env_cfg.cudnn_benchmark': True, 'compile': None,
        'dataset.device': 'cpu',
    }  # fmt: skip
