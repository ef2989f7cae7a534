"""MAMP's fine-tuning equals that of its release: the protocol's classifier, parameter groups and schedule."""

import re

import pytest
import torch
from mmengine.config import Config

from skeattn.engine.optim import LayerDecayConstructor
from skeattn.engine.places import PARAM_SCHEDULERS
from skeattn.models import Recognizer
from skeattn.models.released_weights import convert_released
from skeattn.protocols.settings import read_protocol
from tests.fidelity.golden import Golden, assert_close, to_model
from tests.fidelity.steps import RecordingOptimWrapper, ReplayPreprocessor

HEAD = {'fc1': 'layers.0', 'bn': 'layers.1', 'fc2': 'layers.3'}


def ours(state):
    """Released tensors under the names of a Recognizer."""
    heads = {name: value for name, value in state.items() if name.startswith('head.')}
    rest = {name: value for name, value in state.items() if name not in heads}
    named = {re.sub(r'(?<=^head\.)\w+', lambda match: HEAD[match[0]], name): value for name, value in heads.items()}
    return {**convert_released(rest, 'mamp').state, **named}


def name_of(released):
    """Our name of a released parameter."""
    return next(iter(ours({str(released): torch.zeros(1, 1, 1, 1)})))


def recognizer(golden, protocol):
    """The Recognizer of the protocol with the golden case's sizes, no dropout, and its weights."""
    meta = golden.meta
    backbone = dict(out_channels=meta['D'], depth=meta['depth'], patch=meta['patch'], num_heads=meta['heads'])
    backbone |= dict(ratio=float(meta['mlp_ratio']), dropout=0.0, norm_input=False)
    backbone |= dict(position='learnt', num_frames=meta['T'], layout='ntu25')
    sizes = dict(hidden_channels=meta['hidden'], dropout=0.0, num_classes=meta['classes'])
    model = Recognizer(
        backbone=dict(type='SkeletonTransformer', **backbone),
        head={**protocol['head'], **sizes},
        label_smoothing=protocol['label_smoothing'],
    )
    model.load_state_dict(ours(golden.packed('state0')))
    model.data_preprocessor = ReplayPreprocessor(golden)
    return model.train()


@pytest.fixture
def golden():
    return Golden('mamp_finetune_step')


@pytest.fixture
def protocol():
    return read_protocol('finetune_mamp', Config({}))


def wrapper(model, protocol):
    settings = {**protocol['optim_wrapper'], 'type': RecordingOptimWrapper}
    return LayerDecayConstructor(settings, settings.pop('paramwise_cfg'))(model)


def test_every_parameter_has_its_rate_and_weight_decay(golden, protocol):
    meta, model = golden.meta, recognizer(golden, protocol)
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = wrapper(model, protocol).optimizer.param_groups
    found = {names[p]: (g['lr'], g['weight_decay']) for g in groups for p in g['params']}
    columns = (golden.arrays[key].tolist() for key in ('trained', 'lr_scale', 'weight_decay'))
    expected = {name_of(name): (meta['base_lr'] * scale, decay) for name, scale, decay in zip(*columns, strict=True)}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-12), name


@pytest.mark.filterwarnings('ignore:Detected call of `scheduler.step')  # of the epochs before the golden steps
def test_two_steps_and_the_evaluation(golden, protocol):
    meta, model = golden.meta, recognizer(golden, protocol)
    optim_wrapper = wrapper(model, protocol)
    length = 2  # the golden steps are at whole and half epochs
    schedule = PARAM_SCHEDULERS.build(
        {**protocol['param_scheduler'], 'epochs': protocol['train_cfg']['max_epochs'], 'convert_to_iter_based': True},
        default_args=dict(optimizer=optim_wrapper, epoch_length=length),
    )
    iterations = [round(epoch * length) for epoch in meta['epoch_of_step']]
    for iteration in range(iterations[-1] + 1):
        if iteration in iterations:
            check_step(golden, model, optim_wrapper, iterations.index(iteration) + 1)
        schedule.step()
    with torch.no_grad():
        logits = model.eval()({'clip': to_model(golden['step1/x'])})
    assert_close(logits, golden['eval/logits'], 'logits')


def check_step(golden, model, optim_wrapper, step):
    """A training step and everything that it leaves."""
    model.data_preprocessor.step = step
    assert_close(torch.tensor(optim_wrapper.get_lr()['lr'][0]), golden[f'step{step}/lr'], 'lr', 1e-12)
    seen = {}
    hook = model.head.layers.register_forward_hook(lambda _, x, y: seen.update(feature=x[0], logits=y))
    data = {'inputs': golden[f'step{step}/x'], 'labels': golden[f'step{step}/label']}
    logs = model.train_step(data, optim_wrapper)
    hook.remove()
    for name in ('feature', 'logits'):
        assert_close(seen[name], golden[f'step{step}/{name}'], name)
    assert_close(logs['loss'], golden[f'step{step}/loss_total'], 'loss')
    gradients = ours(golden.packed(f'step{step}/grad'))
    assert len(gradients) == len(optim_wrapper.gradients)
    for name, parameter in model.named_parameters():
        assert_close(optim_wrapper.gradients[parameter], gradients[name], f'gradient of {name}')
    expected, state = ours(golden.packed(f'step{step}/state')), model.state_dict()
    assert set(expected) == set(state)
    for name, value in expected.items():
        assert_close(state[name].double(), value.double(), name)
