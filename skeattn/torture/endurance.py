"""A long training, and the memory that it takes meanwhile."""

import gc
import time
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook

from skeattn.engine import SkeAttnRunner
from skeattn.measure import measure
from skeattn.torture import toy

EVERY = 25
"""Iterations between two looks at the memory."""
SETTLED = 0.3
"""Share of the looks that are left out at the beginning: until then caches fill."""
EPOCHS = 1_000_000


class Memory(Hook):
    """Note the resident memory of this process, and end the training after some seconds.

    Attributes:
        looks: (iteration, bytes).
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.looks: list[tuple[int, int]] = []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Look."""
        if runner.iter % EVERY == 0:
            gc.collect()
            self.looks.append((runner.iter, resident()))

    def after_train_epoch(self, runner: Any) -> None:
        """End."""
        if time.monotonic() > self._end:
            runner.train_loop.stop_training = True


def resident() -> int:
    """Resident memory of this process in bytes (Linux)."""
    status = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith('VmRSS'))


def train_long(folder: Path, seconds: float) -> dict[str, float]:
    """Train in a fresh process, with an evaluation and a checkpoint every epoch of three iterations.

    Returns:
        ``iterations``; ``bytes_per_1000``, the slope of the memory over the iterations once it has settled.
    """
    result: dict[str, float] = measure(_train, folder, seconds)['result']
    return result


def _train(folder: Path, seconds: float) -> dict[str, float]:
    config = toy.write_config(folder / 'toy.py', toy.write_set(folder / 'set'), EPOCHS)
    options: dict[str, Any] = {'default_hooks__checkpoint__iterations': None, 'log_level': 'WARNING'}
    options |= {'default_hooks__logger__interval': 100, 'param_scheduler': None}
    runner, memory = SkeAttnRunner.from_cfg(toy.read(config, folder / 'run', **options)), Memory(seconds)
    runner.register_hook(memory)
    runner.train()
    looks = np.array(memory.looks[int(SETTLED * len(memory.looks)) :], float)
    slope = np.polyfit(looks[:, 0], looks[:, 1], 1)[0] if len(looks) > 2 else float('nan')
    return {'iterations': runner.iter, 'bytes_per_1000': float(1000 * slope)}
