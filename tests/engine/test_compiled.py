"""Compiled losses train as the others do: the same numbers, files and errors."""

import re
import shutil

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.utils import counters
from torch._functorch.aot_autograd import make_boxed_func

from skeattn.checkpoint import read_checkpoint
from skeattn.engine.compiled import CompiledLoss, compile_settings
from skeattn.errors import ConfigError
from skeattn.models.backbones import STGCN
from skeattn.models.queue import FeatureQueue
from skeattn.registry import BACKBONES
from tests.engine.runs import assert_equal_state, logged
from tests.engine.toy import toy_runner, write_set
from tests.models.hot_path import batch, method

pytestmark = pytest.mark.slow

CPU, CUDA = torch.device('cpu'), torch.device('cuda')
# Compiled in a second; the graph backbones have tests of their own.
SMALL = dict(_delete_=True, type='SkeletonTransformer', out_channels=8, depth=1, num_heads=2, dropout=0.1)
DEFAULTS = {'fullgraph': True, 'dynamic': False}
AOT = dict(backend='aot_eager')  # needs no C++ compiler
OPTIONS = {'hiclr': dict(model__edges=None)}  # they need a graph
FURTHER = [pytest.param(method, marks=pytest.mark.slow) for method in ('aimclr', 'skelemixclr', 'hiclr', 'crossclr')]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('compiled') / 'set')


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def train(folder, data, name='skeletonclr', backbone=SMALL, **options):
    """Two epochs of three batches; the lines of the log."""
    folder.mkdir(exist_ok=True)
    options = OPTIONS.get(name, {}) | options
    runner = toy_runner(
        folder, model=name, data=data, evaluation=None, train_cfg__max_epochs=2, model__backbone=backbone,
        default_hooks__checkpoint__save_best=None, **options,
    )  # fmt: skip
    runner.train()
    return logged(folder / 'run')


def assert_equal_losses(found, wanted, rtol=1e-5):
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, rel=rtol)


def graphs() -> int:
    """How many graphs were compiled since the test began."""
    return counters['stats']['unique_graphs']


@pytest.mark.parametrize('name', ['skeattnclr', 'skeletonclr', *FURTHER])
def test_compiled_losses_train_every_method_as_before(tmp_path, data, name):
    wanted = train(tmp_path / 'eager', data, name)
    assert graphs() == 0
    assert_equal_losses(train(tmp_path / 'compiled', data, name, compile=AOT), wanted)
    assert graphs() == 1
    eager, compiled = (read_checkpoint(tmp_path / name / 'run/epoch_2.pth') for name in ('eager', 'compiled'))
    assert list(compiled['state_dict']) == list(eager['state_dict'])


@BACKBONES.register_module()
class ToySTGCN(STGCN):
    """The first two blocks: C++ for all ten takes minutes."""

    def __init__(self, **kwargs) -> None:
        super().__init__(out_channels=4, base_channels=4, **kwargs)
        self.blocks, self.edge_importance, self.temporal_stride = self.blocks[:2], self.edge_importance[:2], 1


class Replay:
    """A backend that returns every result in the memory of the call before, like a CUDA graph."""

    def __call__(self, graph, inputs):
        return aot_autograd(fw_compiler=self._static, bw_compiler=self._static)(graph, inputs)

    def _static(self, graph, inputs):
        memory: list[torch.Tensor] = []

        def run(*arguments):
            results = [x.clone() if isinstance(x, torch.Tensor) else x for x in graph(*arguments)]
            if not memory:
                memory.extend(results)
            for place, result in zip(memory, results, strict=True):
                if isinstance(place, torch.Tensor):
                    place.copy_(result)
            return list(memory)

        return make_boxed_func(run)


class Toy(torch.nn.Module):
    """A loss that stages its keys, with ids as STARS does or without."""

    def __init__(self, with_ids) -> None:
        super().__init__()
        self.queue, self.layer = FeatureQueue(8, 2, with_ids), torch.nn.Linear(2, 2)

    def loss(self, x):
        keys = self.layer(x)
        self.queue.stage(keys, (8 * x[:, 0]).long() if self.queue.ids is not None else None)
        return {'loss': keys.square().mean(), 'L_keys': keys.mean()}


@pytest.mark.parametrize('with_ids', [False, True])
def test_what_outlives_a_step_is_no_memory_of_the_graph(with_ids):
    """The keys of two batches wait for one optimiser step, and losses for the next line of the log."""
    model = Toy(with_ids)
    model.queue.micro_batches = 2
    compiled = CompiledLoss(model, {'backend': Replay(), **DEFAULTS})
    batches = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
    losses = [compiled(x) for x in batches]
    assert graphs() == 1
    for x, staged, found in zip(batches, model.queue.pending, losses, strict=True):
        torch.testing.assert_close(staged, model.layer(x).detach())
        torch.testing.assert_close(found['L_keys'], model.layer(x).mean())
    ids = [(8 * x[:, 0]).long().tolist() for x in batches]
    assert [staged.tolist() for staged in model.queue.pending_ids] == (ids if with_ids else [])
    with pytest.raises(ConfigError, match='never written to the queue'):
        compiled(batches[0])


def test_memory_that_is_replayed_trains_the_same(tmp_path, data):
    """The message hub keeps the losses of an epoch unread, the queue the keys until the optimiser has stepped."""
    quiet = dict(default_hooks__logger__interval=3, log_processor=dict(window_size=3))
    wanted = train(tmp_path / 'eager', data, **quiet)
    assert_equal_losses(train(tmp_path / 'replayed', data, compile=dict(backend=Replay()), **quiet), wanted)


def test_accumulated_batches_share_a_graph(tmp_path, data):
    steps = dict(optim_wrapper__accumulative_counts=2)
    wanted = train(tmp_path / 'eager', data, **steps)
    assert_equal_losses(train(tmp_path / 'compiled', data, compile=AOT, **steps), wanted)
    assert graphs() == 1


def test_mining_is_a_graph_of_its_own(tmp_path, data):
    """From the second epoch on; the first one is compiled without it."""
    mining = dict(default_hooks__mining=dict(type='MiningHook', begin=1))
    wanted = train(tmp_path / 'eager', data, 'aimclr', **mining)
    assert_equal_losses(train(tmp_path / 'compiled', data, 'aimclr', compile=AOT, **mining), wanted)
    assert graphs() == 2


def test_resuming_continues_bit_for_bit(tmp_path, data):
    whole = train(tmp_path / 'whole', data, compile=AOT)
    (tmp_path / 'on/run').mkdir(parents=True)
    shutil.copy(tmp_path / 'whole/run/epoch_1.pth', tmp_path / 'on/run')
    assert train(tmp_path / 'on', data, compile=AOT, resume=True) == whole[3:]
    assert_equal_state(*(read_checkpoint(tmp_path / name / 'run/epoch_2.pth') for name in ('on', 'whole')))


def test_a_loss_that_is_no_graph_is_refused_with_its_place(tmp_path, data):
    with pytest.raises(ConfigError, match=r'(?s)compile: .*SkeletonCLR.*encoder\.py.*model\.persons="present"'):
        train(tmp_path, data, compile=AOT, model__persons='present')


def test_the_labels_of_a_recognizer_are_not_read_in_the_graph():
    """On the CPU they are otherwise checked in every step; the Runner checks all of them before the first."""
    model = method('supervised', backbone={**SMALL, '_delete_': True, 'layout': 'ntu25', 'dropout': 0.0})
    model.data_preprocessor.begin_iteration(0, 0)
    views = model.data_preprocessor(batch(), training=True)
    wanted = model.loss(**views)
    found = CompiledLoss(model, AOT | DEFAULTS)(views['inputs'], views['data_samples'])
    assert found.keys() == wanted.keys() and graphs() == 1
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)


@pytest.mark.parametrize(
    'settings', [dict(backend='none_such'), dict(mode='fastest'), dict(mode='default', options=dict(a=1)), dict(mod=1)]
)
def test_settings_that_torch_refuses_name_the_key(tmp_path, data, settings):
    with pytest.raises(ConfigError, match=r'^compile'):
        train(tmp_path, data, compile=settings)


def test_the_switch_is_off_by_default_and_replays_on_a_gpu():
    assert [compile_settings(off, CUDA) for off in (None, False)] == [None, None]
    assert compile_settings(True, CPU) == DEFAULTS
    assert compile_settings(True, CUDA) == {**DEFAULTS, 'mode': 'reduce-overhead'}
    assert compile_settings({'mode': 'default', 'dynamic': None}, CUDA) == {
        'fullgraph': True, 'dynamic': None, 'mode': 'default',
    }  # fmt: skip
    assert compile_settings({'options': {'triton.cudagraphs': True}}, CUDA).keys() == {*DEFAULTS, 'options'}


def test_gradients_that_a_replay_overwrites_are_not_accumulated():
    for switch in (True, {'mode': 'max-autotune'}):
        with pytest.raises(ConfigError, match=re.escape('optim_wrapper.accumulative_counts=4')):
            compile_settings(switch, CUDA, micro_batches=4)
    assert compile_settings(True, CPU, micro_batches=4) == DEFAULTS
    assert compile_settings({'mode': 'default'}, CUDA, micro_batches=4) == {**DEFAULTS, 'mode': 'default'}


@pytest.mark.skipif(not shutil.which('g++'), reason='needs a C++ compiler')
def test_generated_code_computes_the_same_losses(tmp_path, data):
    """Without dropout: generated code draws its own numbers."""
    plain = dict(_delete_=True, type='ToySTGCN', dropout=0.0)
    heads = dict(model__mhsam__num_heads=2)
    wanted = train(tmp_path / 'eager', data, 'skeattnclr', plain, **heads)
    found = train(tmp_path / 'compiled', data, 'skeattnclr', plain, compile=True, **heads)
    assert_equal_losses(found, wanted, rtol=1e-4)
    assert graphs() == 1


@pytest.mark.parametrize('name', ['skeattnclr', 'skeletonclr', 'aimclr', 'skelemixclr'])
def test_the_graph_backbone_compiles_with_its_dropout(tmp_path, data, name):
    narrow = dict(base_channels=2, out_channels=8)
    wanted = train(tmp_path / 'eager', data, name, narrow)
    assert_equal_losses(train(tmp_path / 'compiled', data, name, narrow, compile=AOT), wanted, rtol=1e-4)
    assert graphs() == 1
