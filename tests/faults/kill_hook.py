"""A hook for configs of the fault tests."""

import os
import signal
from typing import Any

from mmengine.hooks import Hook

from skeattn.registry import HOOKS


@HOOKS.register_module()
class KillHook(Hook):
    """Kills the process, as the kernel would, in the middle of an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)
