"""Stop at the first NaN, before it reaches a checkpoint, or leave its batch out."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook, LoggerHook
from torch import Tensor

from skeattn.checkpoint import LAST
from skeattn.engine.hooks.steps import bare_model, micro_batches
from skeattn.engine.undo import Snapshot
from skeattn.errors import ConfigError, NonFiniteError
from skeattn.registry import HOOKS

INTERVAL = 10
"""Iterations between two looks in a run without LoggerHook."""
SKIPPED = 'skipped_iterations'
"""Fact of the message hub: the iterations that were left out."""


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Raise on a NaN or infinite loss.

    To read a value, the host waits for the device. The values of all iterations since the last look are therefore read
    together, as often as LoggerHook logs, at the end of an epoch and before a checkpoint is written; the error names
    the first iteration that was not finite, and its cause: clips, learning rate, or weights.

    Args:
        skip: how many batches of a training, of resumed ones together, may be left out instead. The weights, the
            optimiser, BatchNorm statistics and staged keys are then those before the batch, and the key encoder and the
            queue stay; the iteration counts for schedules, and nothing of it is logged. Weights that a finite loss
            has made NaN are noticed as well. The host then waits for the device in every iteration, and weights and
            optimiser are copied once. Not with gradient accumulation.

    Raises:
        NonFiniteError: gives iteration, loss terms, clips of the batch and the last good checkpoint; or there are more
            such batches than ``skip``.
        ConfigError: ``skip`` below 0 or with gradient accumulation.
    """

    priority = 'HIGHEST'

    def __init__(self, skip: int = 0) -> None:
        if not isinstance(skip, int) or isinstance(skip, bool) or skip < 0:
            raise ConfigError(f'NonFiniteHook: skip={skip!r} must be a number of batches, 0 or more')
        self.skip = skip
        self.interval = INTERVAL
        self._unread: list[_Iteration] = []
        self._before: Snapshot | None = None

    def before_train(self, runner: Any) -> None:
        """Find the interval of the log."""
        loggers = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self.interval, self._unread = min(loggers, default=INTERVAL), []
        if self.skip and micro_batches(runner) > 1:
            raise ConfigError(
                f'default_hooks.non_finite.skip={self.skip} with optim_wrapper.accumulative_counts='
                f'{micro_batches(runner)}: no batch can be left out of an optimiser step; leave one of the two out'
            )

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Remember the state that a skipped batch returns to."""
        if self.skip:
            self._before = Snapshot(runner)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keep every logged value, and check them before they are logged."""
        index = data_batch.get('index') if isinstance(data_batch, dict) else None
        values = {name: _kept(value) for name, value in (outputs or {}).items()}
        iteration = _Iteration(runner.iter, runner.epoch, values, index)
        if self._before is not None and _in_any_process(runner, values):
            self._undo(runner, iteration, outputs)
            return
        self._unread.append(iteration)
        if self.every_n_inner_iters(batch_idx, self.interval) or self.end_of_epoch(runner.train_dataloader, batch_idx):
            self.check(runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Check an epoch that ended early."""
        self.check(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Check before anything is written."""
        self.check(runner)

    def check(self, runner: Any) -> None:
        """Read the values of the iterations since the last check."""
        unread, self._unread = self._unread, []
        if _finite(value for iteration in unread for value in iteration.values.values()):
            return
        first = next(iteration for iteration in unread if not _finite(iteration.values.values()))
        raise NonFiniteError(f'{_what(first)}; {_cause(runner, first.index, last_good(runner.work_dir))}')

    def _undo(self, runner: Any, iteration: '_Iteration', outputs: dict[str, Any]) -> None:
        """Leave a batch out, if the budget allows it."""
        skipped = [*(runner.message_hub.runtime_info.get(SKIPPED) or []), iteration.number]
        if len(skipped) > self.skip:
            raise NonFiniteError(
                f'{_what(iteration)}; {len(skipped) - 1} batches were left out before, and '
                f'default_hooks.non_finite.skip={self.skip} allows no more; '
                f'{_cause(runner, iteration.index, last_good(runner.work_dir))}'
            )
        assert self._before is not None
        self._before.restore()
        runner.undone = iteration.number
        runner.message_hub.update_info(SKIPPED, skipped)
        outputs.clear()  # so that no other hook logs or averages it
        runner.logger.warning(f'{_what(iteration)}: the batch is left out, {len(skipped)} of at most {self.skip}')


@dataclass(frozen=True)
class _Iteration:
    """What an error needs to know of an iteration: its values, unread, and the clips' places in the data set."""

    number: int
    epoch: int
    values: dict[str, Tensor | float]
    index: Tensor | None


def _kept(value: Any) -> Tensor | float:
    return value.detach().reshape(()) if isinstance(value, Tensor) else float(value)


def _finite(values: Iterable[Tensor | float]) -> bool:
    """Whether all values are finite, with one read for each device."""
    on_device: dict[torch.device, list[Tensor]] = defaultdict(list)
    for value in values:
        if isinstance(value, Tensor):
            on_device[value.device].append(value)
        elif not math.isfinite(value):
            return False
    return all(bool(torch.stack(group).isfinite().all()) for group in on_device.values())


def check_weights(runner: Any) -> None:
    """Refuse to train with weights that are not finite from the beginning.

    Raises:
        NonFiniteError: a weight is NaN or infinite; names the first.
    """
    broken = [name for name, value in bare_model(runner).state_dict().items() if not value.isfinite().all()]
    if broken:
        raise NonFiniteError(
            f'{len(broken)} weights are NaN or infinite before iteration {runner.iter}, first {broken[0]}: they come '
            f'from load_from or from the initialisation (model.init_cfg), not from the clips'
        )


def last_good(work_dir: str) -> str:
    """A sentence that names the checkpoint to go back to."""
    pointer = Path(work_dir) / LAST
    if not pointer.is_file():
        return 'No checkpoint had been written yet.'
    name = pointer.read_text(errors='replace').strip()
    return f'The last good checkpoint is {Path(work_dir) / name}, untouched.'


def _what(iteration: _Iteration) -> str:
    terms = [f'{name}={float(value)}' for name, value in iteration.values.items() if not _finite([value])]
    named = ', '.join(terms) or 'a weight is NaN or infinite after the step'
    return f'iteration {iteration.number} (epoch {iteration.epoch + 1}): {named}'


def _in_any_process(runner: Any, values: dict[str, Tensor | float]) -> bool:
    """Whether a value or, after the step, a weight of any process is not finite."""
    norms = torch._foreach_norm([parameter.detach() for parameter in bare_model(runner).parameters()])
    broken = torch.tensor(float(not (_finite(values.values()) and _finite(norms))))
    if get_world_size() > 1:
        broken = broken.to(norms[0].device)
        all_reduce(broken, op='sum')
    return bool(broken)


def _cause(runner: Any, index: Tensor | None, back: str) -> str:
    """What was not finite first: clips, which are fetched once more, a learning rate or the weights; and what to do."""
    dataset = runner.train_dataloader.dataset
    names = getattr(dataset, 'names', None)
    rates = [rate for rate in runner.optim_wrapper.get_lr()['lr'] if not math.isfinite(rate)]
    if rates:
        return f'the learning rate is {rates[0]}. {back} Look at optim_wrapper.optimizer.lr and param_scheduler'
    if index is None or names is None or not hasattr(dataset, '__getitems__'):
        return f'clips unknown. {back} Lower the learning rate, or look at the clips with skeattn verify'
    places = index.tolist()
    finite = torch.isfinite(dataset.__getitems__(places)['inputs']).flatten(1).all(dim=1).tolist()
    broken = [str(names[place]) for place, is_finite in zip(places, finite, strict=True) if not is_finite]
    if broken:
        clips = f'clips with NaN or infinite coordinates: {", ".join(broken)}'
        return f'{clips}. {back} Look at them with skeattn verify'
    clips = f'clips of the batch: {", ".join(str(names[place]) for place in places)}'
    return f'{clips}, whose coordinates are finite: the weights have diverged. {back} Lower the learning rate'
