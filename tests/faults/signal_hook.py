"""A hook for configs of the fault tests."""

import os
import signal
from typing import Any

from mmengine.hooks import Hook

from skeattn.registry import HOOKS


@HOOKS.register_module()
class SignalHook(Hook):
    """Sends the process a signal: in an iteration, or in the evaluation after an epoch.

    Args:
        number: name of the signal, such as ``'SIGTERM'``.
        iteration: of the training, from 0.
        epoch: number of complete epochs.
        rank: the process that receives it.
    """

    def __init__(self, number: str, iteration: int = -1, epoch: int = -1, rank: int = 0) -> None:
        self.number, self.iteration, self.epoch, self.rank = signal.Signals[number], iteration, epoch, rank

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.iteration and runner.rank == self.rank:
            os.kill(os.getpid(), self.number)

    def before_val_epoch(self, runner: Any) -> None:
        if runner.epoch == self.epoch and runner.rank == self.rank:
            os.kill(os.getpid(), self.number)
