"""Stop at the first NaN, before it reaches a checkpoint."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook, LoggerHook
from torch import Tensor

from skeattn.checkpoint import LAST
from skeattn.errors import NonFiniteError
from skeattn.registry import HOOKS

INTERVAL = 10
"""Iterations between two looks in a run without LoggerHook."""


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Raise on a NaN or infinite loss.

    To read a value, the host waits for the device. The values of all iterations since the last look are therefore read
    together, as often as LoggerHook logs, at the end of an epoch and before a checkpoint is written; the error names
    the first iteration that was not finite.

    Raises:
        NonFiniteError: gives iteration, loss terms, clips of the batch and the last good checkpoint.
    """

    priority = 'HIGHEST'

    def __init__(self) -> None:
        self.interval = INTERVAL
        self._unread: list[_Iteration] = []

    def before_train(self, runner: Any) -> None:
        """Find the interval of the log."""
        loggers = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self.interval, self._unread = min(loggers, default=INTERVAL), []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keep every logged value, and check them before they are logged."""
        index = data_batch.get('index') if isinstance(data_batch, dict) else None
        values = {name: _kept(value) for name, value in (outputs or {}).items()}
        self._unread.append(_Iteration(runner.iter, runner.epoch, values, index))
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
        terms = ', '.join(f'{name}={float(value)}' for name, value in first.values.items() if not _finite([value]))
        raise NonFiniteError(
            f'iteration {first.number} (epoch {first.epoch + 1}): {terms}; {_clips(runner, first.index)}. '
            f'{last_good(runner.work_dir)} Lower the learning rate, or look at the clips with skeattn verify'
        )


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


def last_good(work_dir: str) -> str:
    """A sentence that names the checkpoint to go back to."""
    pointer = Path(work_dir) / LAST
    if not pointer.is_file():
        return 'No checkpoint had been written yet.'
    return f'The last good checkpoint is {Path(work_dir) / pointer.read_text().strip()}, untouched.'


def _clips(runner: Any, index: Tensor | None) -> str:
    """The clips of a batch, which are fetched from the data set once more; those that are not finite, if there are."""
    dataset = runner.train_dataloader.dataset
    names = getattr(dataset, 'names', None)
    if index is None or names is None or not hasattr(dataset, '__getitems__'):
        return 'clips unknown'
    places = index.tolist()
    finite = torch.isfinite(dataset.__getitems__(places)['inputs']).flatten(1).all(dim=1).tolist()
    broken = [place for place, is_finite in zip(places, finite, strict=True) if not is_finite]
    what = 'clips with NaN or infinite coordinates' if broken else 'clips of the batch'
    return f'{what}: {", ".join(str(names[i]) for i in broken or places)}'
