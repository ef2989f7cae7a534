"""Time and momentum of the key encoder's updates."""

from typing import Any

from mmengine.hooks import Hook

from skeattn.engine.hooks.steps import bare_model, micro_batches, stepped, steps, without_work
from skeattn.errors import ConfigError
from skeattn.models.momentum import cosine_momentum, has_key_encoder, linear_momentum
from skeattn.registry import HOOKS


@HOOKS.register_module()
class MomentumUpdateHook(Hook):
    """Advance the key encoder once per optimiser step.

    Args:
        base_momentum: M0.
        schedule: ``'cosine'``: from M0 at the first step towards 1 at the end of training, counted in optimiser steps;
            ``'linear'``: likewise, in equal steps (data2vec); ``'constant'``: M0 throughout.
        timing: ``'after_step'`` (SkeAttnCLR): with the query weights just learnt; ``'before_step'`` (the MoCo-style
            methods): before the next forward pass, with those of the step before.
        buffers: average BN statistics too.
        ahead_epochs: start the counter that many epochs late; the release, which counts epochs from 1, has 1. M then
            reaches 1 an epoch before the end and falls again.

    Raises:
        ConfigError: unknown schedule or timing, M0 outside [0, 1], or a model without key encoder.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(
        self,
        base_momentum: float = 0.996,
        schedule: str = 'cosine',
        timing: str = 'after_step',
        buffers: bool = True,
        ahead_epochs: int = 0,
    ) -> None:
        if schedule not in ('cosine', 'linear', 'constant') or timing not in ('after_step', 'before_step'):
            raise ConfigError(
                f'MomentumUpdateHook: schedule={schedule!r}, timing={timing!r}; '
                f'choose "cosine", "linear" or "constant", "after_step" or "before_step"'
            )
        if not isinstance(base_momentum, int | float) or not 0 <= base_momentum <= 1:
            raise ConfigError(f'MomentumUpdateHook: base_momentum={base_momentum!r} must lie in [0, 1]')
        self.base_momentum, self.schedule, self.timing = base_momentum, schedule, timing
        self.buffers, self.ahead_epochs = buffers, ahead_epochs

    def before_train(self, runner: Any) -> None:
        """Check that there is a key encoder, and set the number of batches between two updates."""
        model = bare_model(runner)
        if not has_key_encoder(model):
            raise without_work(runner, 'momentum', 'has no key encoder')
        model.micro_batches = micro_batches(runner)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """The update of ``timing='before_step'``: at the first micro-batch of a step."""
        if self.timing == 'before_step' and runner.iter % micro_batches(runner) == 0:
            self._update(runner)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """The update of ``timing='after_step'``."""
        if self.timing == 'after_step' and stepped(runner):
            self._update(runner)

    def momentum(self, runner: Any) -> float:
        """M at the Runner's current optimiser step."""
        if self.schedule == 'constant':
            return self.base_momentum
        ahead = self.ahead_epochs * len(runner.train_dataloader) if self.ahead_epochs else 0
        step = (runner.iter + ahead) // micro_batches(runner)
        schedule = cosine_momentum if self.schedule == 'cosine' else linear_momentum
        return schedule(step, steps(runner, runner.max_iters), self.base_momentum)

    def _update(self, runner: Any) -> None:
        momentum = self.momentum(runner)
        bare_model(runner).update_key_encoder(momentum, self.buffers)
        runner.message_hub.update_scalar('train/momentum', momentum)
