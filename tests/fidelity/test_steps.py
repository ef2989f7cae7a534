"""Two steps of our algorithms, hooks and optimiser wrapper equal two steps of the released training loops."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

from skeattn.augment.functional import paste
from skeattn.engine.hooks import MomentumUpdateHook, QueueUpdateHook
from skeattn.models import SkeAttnCLR, SkeletonCLR, SkeletonPreprocessor
from skeattn.models.momentum import cosine_momentum
from skeattn.models.preprocessor import View
from tests.fidelity.golden import Golden, assert_close

MLP = dict(type='MLP', norm_cfg=dict(type='BN1d'))


class RecordingOptimWrapper(OptimWrapper):
    """Keeps each step's gradients, which mmengine clears right after it."""

    def step(self, **kwargs):
        self.gradients = [p.grad.clone() for group in self.param_groups for p in group['params']]
        super().step(**kwargs)


class ReplayPreprocessor(SkeletonPreprocessor):
    """Takes the golden clips as views, and mixes them by the golden draw with our own paste."""

    def __init__(self, golden, stream='joint'):
        super().__init__('ntu25', stream)
        self.golden, self.step = golden, 1

    def draw_views(self, clips):
        golden, s = self.golden, self.step
        views = {'query': golden[f'step{s}/xq'], 'key': golden[f'step{s}/xk']}
        if f'mix{s}/partner' in golden.arrays:
            x = views['query']
            mask = golden[f'mix{s}/grid'].bool().expand(len(x), -1, -1)
            views['mix'] = paste(x, x[golden[f'mix{s}/partner'].long()], mask, unit_frames=4)
            assert_close(views['mix'], golden[f'mix{s}/mixed'], 'mixed clips')
        return {name: View(x) for name, x in views.items()}


def skeattnclr(golden, **changes):
    meta = golden.meta
    width = dict(hidden_channels=meta['hd'], out_channels=meta['fd'])
    model = SkeAttnCLR(
        backbone=dict(
            type='STGCN', layout='ntu25', base_channels=meta['hc'], out_channels=meta['hd'], graph='agcn', dropout=0.0
        ),
        projector=dict(MLP, **width),
        predictor=dict(MLP, **width),
        mhsam=dict(type='MHSAM', num_heads=meta['heads']),
        queue=dict(size=meta['K']),
        loss=dict(type='InfoNCE', temperature=meta['temp']),
        mu=meta['mu'],
        **{'heads': 'released', 'project_mix': True, **changes},
    )
    model.load_state_dict(golden.converted('state0', 'skeattnclr'))
    return model.train()


def skeletonclr(golden):
    meta = golden.meta
    model = SkeletonCLR(
        backbone=dict(
            type='STGCN',
            layout='ntu25',
            base_channels=meta['hc'],
            out_channels=meta['hd'],
            graph='spatial',
            dropout=0.0,
        ),
        projector=dict(type='MLP', hidden_channels=meta['hd'], out_channels=meta['fd'], bias=True),
        queue=dict(size=meta['K']),
        loss=dict(type='InfoNCE', temperature=meta['temp']),
    )
    model.load_state_dict(golden.converted('state0', 'skeletonclr'))
    return model.train()


def train_two_steps(model, golden, momentum_hook, loader_length, max_iters, first_iter):
    """The Runner's part of two iterations: hooks around ``train_step``; yields after each."""
    meta = golden.meta
    model.data_preprocessor = ReplayPreprocessor(golden)
    trainable = [p for p in model.parameters() if p.requires_grad]
    sgd = torch.optim.SGD(trainable, lr=meta['lr'], momentum=meta['sgd_momentum'], weight_decay=meta['weight_decay'])
    runner = SimpleNamespace(
        model=model,
        optim_wrapper=RecordingOptimWrapper(sgd),
        iter=first_iter,
        max_iters=max_iters,
        train_dataloader=range(loader_length),
        message_hub=MessageHub(f'golden {type(model).__name__}'),
    )
    hooks = [momentum_hook, QueueUpdateHook()]
    for hook in hooks:
        hook.before_train(runner)
    for step in (1, 2):
        model.data_preprocessor.step = step
        for hook in hooks:
            hook.before_train_iter(runner, step - 1)
        logs = model.train_step({'inputs': golden[f'step{step}/xq']}, runner.optim_wrapper)
        for hook in hooks:
            hook.after_train_iter(runner, step - 1)
        yield step, logs, runner
        runner.iter += 1


def assert_step(golden, model, method, step, logs, terms, runner):
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    gradients = dict(zip(names, runner.optim_wrapper.gradients, strict=True))
    released = golden.converted(f'step{step}/grad', method)
    assert set(released) == set(gradients)
    for name, gradient in released.items():
        assert_close(gradients[name], gradient, f'step {step} gradient of {name}')
    for ours, theirs in terms.items():
        assert_close(logs[ours], golden[f'step{step}/{theirs}'], f'step {step} {ours}')
    expected = golden.converted(f'step{step}/state', method)
    state = model.state_dict()
    assert set(expected) == set(state)
    for name, value in expected.items():
        assert_close(state[name].double(), value.double(), f'step {step} {name}')


def test_skeattnclr_two_steps():
    golden = Golden('skeattnclr_step')
    meta, model = golden.meta, skeattnclr(golden)
    hook = MomentumUpdateHook(base_momentum=meta['m'], ahead_epochs=1)
    terms = {'loss': 'loss_total', 'L_global': 'loss_info', 'L_s': 'loss_s', 'L_ns': 'loss_ns'}
    L = meta['loader_length']
    steps = train_two_steps(model, golden, hook, L, L * meta['num_epoch'], first_iter=0)
    for step, logs, runner in steps:
        assert_step(golden, model, 'skeattnclr', step, logs, terms, runner)
        assert_close(torch.tensor(hook.momentum(runner)), golden[f'step{step}/momentum'], 'momentum')


def test_skeletonclr_two_steps():
    golden = Golden('skeletonclr_step')
    model = skeletonclr(golden)
    hook = MomentumUpdateHook(golden.meta['m'], schedule='constant', timing='before_step', buffers=False)
    for step, logs, runner in train_two_steps(model, golden, hook, 1, 2, first_iter=0):
        assert_step(golden, model, 'skeletonclr', step, logs, {'loss': 'loss_total'}, runner)


@pytest.mark.parametrize('stream', ['motion', 'bone'])
def test_losses_of_the_other_streams(stream):
    golden = Golden('skeattnclr_step')
    model = skeattnclr(golden)
    model.data_preprocessor = ReplayPreprocessor(golden, stream)
    losses = model(**model.data_preprocessor({'inputs': golden['step1/xq']}, training=True), mode='loss')
    for ours, theirs in (('L_global', 'loss_info'), ('L_s', 'loss_s'), ('L_ns', 'loss_ns')):
        assert_close(losses[ours], golden[f'view_{stream}/{theirs}'], f'{stream} {ours}')


def test_momentum_schedule():
    golden = Golden('schedules')
    expected = golden['key_momentum/SkeAttnMask']
    total, base = int(golden['key_momentum/max_iter']), float(golden['key_momentum/m'])
    ours = [cosine_momentum(int(it), total, base) for it in golden['key_momentum/cur_iter']]
    assert_close(torch.tensor(ours), expected, 'momentum')


def test_switched_off_the_mixed_global_embedding_leaves_losses_alone():
    golden = Golden('skeattnclr_step')
    losses = []
    for project_mix in (True, False):
        model = skeattnclr(golden, project_mix=project_mix)
        model.data_preprocessor = ReplayPreprocessor(golden)
        losses.append(model(**model.data_preprocessor({'inputs': golden['step1/xq']}, training=True), mode='loss'))
        statistics = model.predictors['z'].layers[1].num_batches_tracked
        before = golden.converted('state0')['predictors.z.layers.1.num_batches_tracked']
        assert statistics - before == (2 if project_mix else 1)
    for name, value in losses[0].items():
        assert_close(losses[1][name], value, name, tolerance=1e-12)
