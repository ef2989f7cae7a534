"""A few training iterations on golden clips without a Runner: our preprocessor, hooks and optimiser wrapper."""

from types import SimpleNamespace

import torch
from mmengine.logging import MessageHub

from skeattn.augment.functional import paste
from skeattn.engine.hooks import QueueUpdateHook
from skeattn.engine.optim import OptimWrapper
from skeattn.models import SkeletonPreprocessor
from skeattn.models.queue import queues_of
from skeattn.models.views import View
from tests.fidelity.golden import assert_close

# Golden names of the clips -> our views.
VIEWS = {'xq': 'query', 'x': 'query', 'xk': 'key', 'x_extreme': 'extreme', 'x1': 'strong', 'x2': 'stronger'}


class RecordingOptimWrapper(OptimWrapper):
    """Keeps the gradients of each step, by parameter; mmengine clears them after it."""

    def step(self, **kwargs):
        parameters = [p for group in self.optimizer.param_groups for p in group['params']]
        self.gradients = {p: p.grad.clone() for p in parameters if p.grad is not None}
        super().step(**kwargs)


class ReplayPreprocessor(SkeletonPreprocessor):
    """Uses the golden clips as views and mixes them with our paste by the golden draws."""

    def __init__(self, golden, stream='joint', mixes=1):
        super().__init__('ntu25', stream)
        self.golden, self.step, self.mixes = golden, 1, mixes

    def draw_views(self, clips, marked=False, native=None):
        golden, s = self.golden, self.step
        views = {ours: View(golden[f'step{s}/{name}']) for name, ours in VIEWS.items() if self.has(f'step{s}/{name}')}
        if self.has(f'step{s}/joint_mask'):
            masked = golden[f'step{s}/joint_mask'] == 0
            views['stronger'].notes['masked'] = masked.expand(len(clips), -1, -1)
        if self.has(f'step{s}/uniform'):
            views['query'].notes['uniform'] = golden[f'step{s}/uniform'].unflatten(0, (len(clips), -1))
        for r in range(1, self.mixes + 1):
            number = (s - 1) * self.mixes + r
            if self.has(f'mix{number}/partner'):
                views['mix' if self.mixes == 1 else f'mix{r}'] = self.mix(views['query'].clips, f'mix{number}')
        return views

    def mix(self, x, draw):
        golden = self.golden
        grid = golden[f'{draw}/grid'].bool().expand(len(x), -1, -1)
        partner = golden[f'{draw}/partner'].long()
        view = View(paste(x, x[partner], grid, unit_frames=4))
        assert_close(view.clips, golden[f'{draw}/mixed'], 'mixed clips')
        view.notes.update(grid=grid, shift=(partner - torch.arange(len(x))) % len(x))
        return view

    def has(self, name):
        return name in self.golden.arrays


def released_sgd(model, meta):
    trainable = [p for p in model.parameters() if p.requires_grad]
    sgd = torch.optim.SGD(trainable, lr=meta['lr'], momentum=meta['sgd_momentum'], weight_decay=meta['weight_decay'])
    return RecordingOptimWrapper(sgd)


def train_steps(model, golden, hooks, steps=2, loader_length=1, max_iters=2, optim_wrapper=None):
    """The hooks around ``train_step``, one step per epoch if ``loader_length`` is 1; yields after each step."""
    runner = SimpleNamespace(
        model=model,
        optim_wrapper=optim_wrapper or released_sgd(model, golden.meta),
        iter=0,
        epoch=0,
        max_iters=max_iters,
        max_epochs=max_iters // loader_length,
        train_dataloader=range(loader_length),
        message_hub=MessageHub(f'golden {type(model).__name__}'),
    )
    hooks = [*hooks, QueueUpdateHook()] if queues_of(model) else hooks
    for hook in hooks:
        hook.before_train(runner)
    for step in range(1, steps + 1):
        model.data_preprocessor.step = step
        for hook in hooks:
            hook.before_train_epoch(runner)
        for hook in hooks:
            hook.before_train_iter(runner, step - 1)
        clips = next(name for name in VIEWS if f'step{step}/{name}' in golden.arrays)
        data = {'inputs': golden[f'step{step}/{clips}']}
        if f'step{step}/ids' in golden.arrays:
            data['index'] = golden[f'step{step}/ids']
        logs = model.train_step(data, runner.optim_wrapper)
        for hook in hooks:
            hook.after_train_iter(runner, step - 1)
        yield step, logs, runner
        runner.iter += 1
        runner.epoch += 1


def assert_step(golden, model, method, step, logs, terms, runner):
    """Gradients, logged terms and the whole state after a step."""
    kept = runner.optim_wrapper.gradients
    gradients = {name: kept[p] for name, p in model.named_parameters() if p in kept}
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
