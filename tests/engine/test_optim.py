"""Rates by layer and clipping by parameter."""

import pytest
import torch
from torch import nn

from skeattn.checkpoint import read_checkpoint
from skeattn.engine.optim import LayerDecayConstructor, OptimWrapper, check_custom_keys
from skeattn.engine.schedules import CosineWeightDecay
from skeattn.errors import ConfigError
from skeattn.models.backbones import STGCN, SkeletonTransformer
from skeattn.models.depth import freeze_lower
from tests.engine.resuming import QUIET, resumed
from tests.engine.runs import assert_equal_state
from tests.engine.toy import toy_runner, write_set

LINES = """
model = dict(
    backbone=dict(_delete_=True, type='SkeletonTransformer', out_channels=8, num_heads=2, depth=2, dropout=0.0),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.01, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.5, flat_decay_mult=0.0),
    clip_grad=dict(type='each', max_norm=0.1),
)
param_scheduler = dict(_delete_=True, type='WarmupCosineLR', warmup=1)
"""


class Net(nn.Module):
    """A Transformer of three blocks and a classifier."""

    def __init__(self, **options):
        super().__init__()
        options = {'position': 'learnt', 'num_frames': 8, **options}
        self.backbone = SkeletonTransformer('ntu25', 8, 3, 2, norm_input=False, **options)
        self.fc = nn.Linear(8, 3)


def groups(model, **paramwise):
    """Rate and weight decay of every parameter in the optimiser, by name."""
    cfg = dict(optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.4))
    wrapper = LayerDecayConstructor(cfg, paramwise)(model)
    names = {parameter: name for name, parameter in model.named_parameters()}
    listed = [(names[p], (g['lr'], g['weight_decay'])) for g in wrapper.optimizer.param_groups for p in g['params']]
    assert len(listed) == len(dict(listed))
    return dict(listed), wrapper.optimizer.param_groups


def test_each_layer_has_a_share_of_the_rate_of_the_next():
    rates, listed = groups(Net(), layer_decay=0.5)
    assert len(rates) == len([*Net().parameters()])
    for name, (rate, decay) in rates.items():
        part = name.split('.')
        below = {'fc': 0, 'norm': 0, 'layers': 3 - int(part[2]) if part[1] == 'layers' else None}
        expected = below.get(part[0], below.get(part[1], 4))
        assert rate == pytest.approx(0.1 * 0.5**expected), name
        assert decay == 0.4
    assert listed[0]['lr'] == 0.1 and len(listed) == 5


def test_one_dimensional_parameters_are_spared_the_decay_and_rates_multiply():
    model = Net()
    rates, _ = groups(model, layer_decay=0.5, flat_decay_mult=0.0, custom_keys={'layers.2': dict(lr_mult=0.1)})
    for name, parameter in model.named_parameters():
        if 'layers.2' in name:
            assert rates[name] == (pytest.approx(0.005), 0.4)
        else:
            assert rates[name][1] == (0 if parameter.ndim == 1 else 0.4), name


@pytest.mark.parametrize(('trained', 'blocks'), [(1.0, 3), (0.5, 2), (0.34, 2), (0.33, 1), (0.01, 1)])
def test_the_frozen_layers_are_not_in_the_optimiser(trained, blocks):
    model = Net()
    freeze_lower(model.backbone, trained)
    rates, _ = groups(model, layer_decay=0.5)
    layers = {int(name.split('.')[2]) for name in rates if name.startswith('backbone.layers')}
    assert layers == {*range(3 - blocks, 3)}
    assert ('backbone.joints' in rates) == ('backbone.times' in rates) == (trained == 1)
    assert {'backbone.norm.weight', 'fc.bias'} <= rates.keys()


def test_a_backbone_without_layers_is_refused():
    model = nn.Sequential(STGCN('ntu25', base_channels=2, out_channels=4), nn.Linear(4, 2))
    with pytest.raises(ConfigError, match=r'layer_decay=0\.5: no backbone of Sequential defines layer_of'):
        groups(model, layer_decay=0.5)
    assert len(groups(model, layer_decay=1.0)[0]) == len([*model.parameters()])
    with pytest.raises(ConfigError, match='STGCN defines no layer_of'):
        freeze_lower(model[0], 0.5)


@pytest.mark.parametrize('trained', [0, 1.5])
def test_a_senseless_share_is_refused(trained):
    with pytest.raises(ConfigError, match=r'model\.trained=.* must lie in \(0, 1\]'):
        freeze_lower(Net().backbone, trained)


def test_each_gradient_is_clipped_by_its_own_norm():
    parameters = [nn.Parameter(torch.zeros(2, 3)) for _ in range(3)]
    wrapper = OptimWrapper(torch.optim.SGD(parameters, lr=1.0), clip_grad=dict(type='each', max_norm=2.0))
    gradients = [torch.full((2, 3), size) for size in (10.0, 0.1, 3.0)]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    wrapper.step()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        norm = gradient.norm()
        assert torch.allclose(-parameter, gradient * min(1, 2 / (norm + 1e-6)), rtol=1e-6)


@pytest.mark.parametrize(
    ('clip_grad', 'message'),
    [
        (dict(type='each'), 'type="each" needs max_norm'),
        (dict(norm_type=2), 'type="norm" needs max_norm'),
        (dict(clip_value=0.5), 'type="norm" needs max_norm'),
        (dict(type='value', max_norm=1), 'type="value" needs clip_value'),
        (
            dict(type='each', max_norm=1, clip_value=0.5),
            'type="each" has no .clip_value.; its keys are max_norm, norm',
        ),
    ],
)
def test_a_clipping_has_the_keys_of_its_type(clip_grad, message):
    with pytest.raises(ConfigError, match=message):
        OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), clip_grad=clip_grad)


def test_gradients_are_clipped_by_value():
    parameter = nn.Parameter(torch.zeros(2))
    wrapper = OptimWrapper(torch.optim.SGD([parameter], lr=1.0), clip_grad=dict(type='value', clip_value=0.5))
    wrapper.update_params((parameter * torch.tensor([3.0, 0.1])).sum())
    assert parameter.tolist() == pytest.approx([-0.5, -0.1])


@pytest.mark.slow
def test_rates_of_a_parameter_that_is_not_there_are_refused(tmp_path):
    check_custom_keys(Net(), {'layers.2': dict(lr_mult=0.1), 'backbone': dict(lr_mult=2.0)})
    runner = toy_runner(
        tmp_path,
        data=write_set(tmp_path / 'set'),
        optim_wrapper__paramwise_cfg=dict(custom_keys={'projectr': dict(lr_mult=2.0)}),
    )
    with pytest.raises(ConfigError, match=r"no parameter of the model has 'projectr' .* did you mean 'projector'"):
        runner.train()


@pytest.mark.parametrize(
    'schedules', [None, dict(type='CosineAnnealingLR'), [dict(type=CosineWeightDecay), dict(type='MultiStepLR')]]
)
def test_parameters_are_held_by_a_schedule_that_does(schedules):
    custom_keys = {'layers': dict(held=1)}
    with pytest.raises(ConfigError, match=r'custom_keys\.layers\.held: only a WarmupCosineLR holds parameters'):
        check_custom_keys(Net(), custom_keys, schedules)
    check_custom_keys(Net(), custom_keys, [dict(type='WarmupCosineLR'), dict(type='CosineWeightDecay')])
    check_custom_keys(Net(), {'layers': dict(held=0, lr_mult=0.1)}, schedules)


@pytest.mark.slow
def test_a_training_by_layers_resumes_bit_for_bit(tmp_path):
    data = write_set(tmp_path / 'set')
    runner = toy_runner(tmp_path, model='skeletonclr', data=data, lines=LINES, **QUIET)
    runner.train()
    assert {type(runner.optim_wrapper), runner.optim_wrapper.clip_func.__name__} == {OptimWrapper, 'clip_each'}
    factors = {round(group['initial_lr'] / 0.01, 6) for group in runner.optim_wrapper.optimizer.param_groups}
    assert factors == {1.0, 0.5, 0.25, 0.125}
    resumed(tmp_path / 'on', tmp_path, data, 2, model='skeletonclr', lines=LINES)
    on, whole = (read_checkpoint(folder / 'run/epoch_3.pth') for folder in (tmp_path / 'on', tmp_path))
    assert_equal_state(on, whole)


def test_the_gradients_of_each_part_are_scaled_together():
    """Encoder and head apart; a frozen part has none."""
    model = Net()
    model.teacher = Net().requires_grad_(False)
    model.free = nn.Parameter(torch.ones(3))
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0), clip_grad=dict(type='part', max_norm=0.5))
    with wrapper.optim_context(model):
        pass
    parts = [[*model.backbone.parameters()], [*model.fc.parameters()], [model.free]]
    generator = torch.Generator().manual_seed(0)
    before = {}
    for scale, part in zip((10, 0.01, 1), parts, strict=True):
        for p in part:
            p.grad = scale * torch.randn(p.shape, generator=generator)
            before[p] = p.grad.clone()
    wrapper._clip_grad()
    for part in parts:
        norm = torch.stack([before[p].norm() for p in part]).norm()
        factor = min(1, 0.5 / (norm.item() + 1e-6))
        for p in part:
            torch.testing.assert_close(p.grad, before[p] * factor)
    assert all(p.grad is None for p in model.teacher.parameters())
    with pytest.raises(ConfigError, match=r'type="part" needs max_norm'):
        OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), clip_grad=dict(type='part'))
