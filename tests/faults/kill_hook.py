"""A hook for configs of the fault tests."""

import os
import signal
from typing import Any

from mmengine.hooks import Hook

from skeattn.registry import HOOKS


@HOOKS.register_module()
class KillHook(Hook):
    """Kills the process, as the kernel would, in the middle of an iteration; processes started again live.

    Args:
        iteration: the iteration.
        rank: of the process that dies.
    """

    def __init__(self, iteration: int, rank: int = 0) -> None:
        self.iteration, self.rank = iteration, rank

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        first = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') == '0'
        if runner.iter == self.iteration and runner.rank == self.rank and first:
            os.kill(os.getpid(), signal.SIGKILL)
