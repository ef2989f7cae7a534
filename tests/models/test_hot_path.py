"""What a GPU would wait for, held on any CPU: no value is read in a training step, few operations, one graph.

Tensors on the ``meta`` device have no values, so whatever reads one raises an error there.
"""

from contextlib import nullcontext

import pytest
import torch
import torch._dynamo  # before the fixture `meta` changes functions of torch, whose rules it collects
from mmengine.config import Config
from mmengine.model import BaseModel

import skeattn.models  # noqa: F401  registers the methods
from skeattn.models.joint_names import read_layout
from skeattn.registry import MODELS
from tests.models.hot_path import BACKBONES, CONFIGS, METHODS, Operations, Steps, batch, method

BUDGETS = {
    'aimclr': 2275,
    'crossclr': 4149,
    'hiclr': 3467,
    'pstl': 2568,
    'mamp': 1414,
    'skeattnclr': 2236,
    'skelemixclr': 2150,
    'skeletonclr': 1366,
    'slim': 3467,
    'stars': 677,
    'supervised': 1001,
}
"""Operations of one step on a device that is not the CPU, with one optimiser call per tensor, views not counted."""
SLACK = 1.02
VARIANTS = [name for name in METHODS if name not in BUDGETS]


@pytest.fixture
def meta(monkeypatch):
    """The device, made to look as if it had autocast."""
    is_enabled = torch.is_autocast_enabled
    monkeypatch.setattr(torch, 'autocast', lambda *args, **options: nullcontext())
    monkeypatch.setattr(torch, 'is_autocast_enabled', lambda *d: False if d == ('meta',) else is_enabled(*d))
    return 'meta'


def test_every_method_has_a_budget():
    classes = MODELS.module_dict.values()
    methods = {c.__name__ for c in classes if issubclass(c, BaseModel) and c.__module__.startswith('skeattn.')}
    assert methods == {Config.fromfile(CONFIGS / f'{name}.py').model.type for name in BUDGETS}


@pytest.mark.slow
@pytest.mark.parametrize('name', BUDGETS)
def test_a_step_reads_no_value_and_keeps_its_budget(name, meta):
    """The second step: in the first one, the draws of the augmentations are copied operation by operation."""
    steps = Steps(method(name, meta))
    assert all(value.is_meta for value in steps.step().values())
    with Operations() as done:
        steps.step()
    draws = any(steps.runner.model.data_preprocessor.ops.values())
    assert len(done.copies) == 1 + draws, f'the batch and the draws of its views take one copy each, but {done.copies}'
    total, budget = done.counts.total(), BUDGETS[name]
    assert total <= SLACK * budget, (
        f'a step of {name} takes {total} operations, {total - budget} more than the {budget} of its budget; the most '
        f'frequent: {dict(done.counts.most_common(8))}. On a GPU each costs 5 us at least; raise the budget only for '
        f'a change that is worth it'
    )
    assert total >= 0.9 * budget, f'a step of {name} takes {total} operations; lower its budget of {budget}'


@pytest.mark.slow
@pytest.mark.parametrize('name', VARIANTS)
def test_no_other_config_of_a_method_reads_a_value(name, meta):
    assert Steps(method(name, meta)).step()['loss'].is_meta


@pytest.mark.slow
@pytest.mark.parametrize('backbone', BACKBONES)
def test_no_backbone_reads_a_value(backbone, meta):
    cfg = Config.fromfile(CONFIGS / f'{backbone}.py')[backbone]['model']['backbone']
    narrow = {'BIGRU': dict(hidden_channels=8), 'DSTA': {}}.get(cfg['type'], dict(out_channels=32))
    whole = {'_delete_': True, **cfg, 'layout': 'ntu25', **narrow}
    steps = Steps(method('skeletonclr', meta, backbone=whole))
    assert steps.step()['loss'].is_meta


def of_layouts(device='cpu'):
    """MAMP that knows joints by name."""
    layouts = ['ntu25', 'kinect20']
    return method('mamp', device, data_preprocessor__layout=layouts, backbone__layout=layouts)


@pytest.mark.slow
def test_joints_known_by_name_read_no_value_and_copy_no_word(meta):
    steps = Steps(of_layouts(meta), layout='ntu25')
    assert steps.step()['loss'].is_meta
    with Operations() as done:
        steps.step()
    assert len(done.copies) == 2, done.copies


@pytest.mark.slow
@pytest.mark.parametrize('stream', ['joint', 'motion', 'bone'])
def test_no_stream_copies_an_index_in_every_step(stream, meta):
    steps = Steps(method('skeletonclr', meta, data_preprocessor__stream=stream))
    steps.step()
    with Operations() as done:
        steps.step()
    assert len(done.copies) == 2, done.copies


def test_persons_present_is_the_exception(meta):
    """It encodes the persons that it finds, so the shapes depend on the clips: their values have to be read."""
    with pytest.raises((RuntimeError, NotImplementedError), match='meta'):
        Steps(method('skeletonclr', meta, persons='present')).step()


def test_a_value_that_is_read_fails_the_step(meta):
    """Otherwise the tests above would hold for everything."""
    model = method('skeletonclr', meta)
    loss = model.loss
    model.loss = lambda inputs: {name: value * bool(value > 0) for name, value in loss(inputs).items()}
    with pytest.raises((RuntimeError, NotImplementedError), match='meta'):
        Steps(model).step()


def test_what_comes_from_host_memory_is_counted_as_a_copy():
    x, there = torch.zeros(3, 4, device='meta'), torch.tensor([0, 2], device='meta')
    with Operations() as done:
        x[:, there] + x[:, 1:3] + torch.full((), 2, device='meta')
        assert done.copies == []
        x[:, [0, 2]] = 1
        x[:, [0, 2]] + x[:, torch.tensor([0, 2])] + torch.tensor([1, 2], device='meta') + torch.ones(2).to('meta')
    assert done.copies == ['__setitem__', '__getitem__', 'index', 'tensor', '_to_copy']


@pytest.mark.slow
@pytest.mark.parametrize('name', [*(name for name in BUDGETS if name != 'supervised'), 'skeattnclr_small', 'layouts'])
def test_a_loss_is_one_graph(name):
    model = of_layouts() if name == 'layouts' else method(name)
    model.data_preprocessor.begin_iteration(0, 0)
    inputs = model.data_preprocessor(batch() | {'layout': 'ntu25'}, training=True)['inputs']
    read_layout(model, inputs.get('clip.layout'))
    torch._dynamo.reset()
    explained = torch._dynamo.explain(model.loss)(inputs)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0), explained.break_reasons


def test_losses_are_read_when_they_are_asked_for(monkeypatch):
    """They are then the values of all steps, in one read."""
    steps, reads = Steps(method('skeletonclr')), []
    for name in ('tolist', 'item', '__bool__', '__float__'):
        read = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda x, r=read, n=name: reads.append((n, x.numel())) or r(x))
    losses = [steps.step()['loss'].detach() for _ in range(3)]
    assert reads == []
    history, _ = steps.runner.message_hub.get_scalar('train/loss').data
    assert reads == [('tolist', 3)]
    assert history.tolist() == torch.stack(losses).tolist()
