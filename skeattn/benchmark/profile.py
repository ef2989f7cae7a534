"""The training step in the Runner beside its floor, and what a GPU does meanwhile."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from skeattn.benchmark.ceilings import ceilings
from skeattn.benchmark.epoch import RECIPE, switches_for, train_on_random_clips
from skeattn.benchmark.floor import ListOperations, floor
from skeattn.benchmark.kernels import Kernel, kernels_of, profiler, summary
from skeattn.benchmark.rounds import Clock
from skeattn.benchmark.setting import TINY, Setting


class StepProfile(Hook):
    """Measures iterations in a row: some warm up, some are timed, some profiled on CUDA, one has its operations listed.

    The last one is not compiled, for a compiled graph shows no operations.

    Args:
        device: ``'cpu'`` or ``'cuda'``.
        warm: iterations before the first measurement.
        steps: iterations that are timed, and as many that are profiled.

    Attributes:
        iterations: that it needs.
        seconds: of a timed iteration, on the wall.
        kernels: of the profiled ones.
        listed: operations of the last one.
    """

    priority = 'LOWEST'

    def __init__(self, device: str, warm: int, steps: int) -> None:
        self.device, self.warm, self.steps = device, warm, steps
        self.iterations = warm + 2 * steps + 1
        self.seconds, self.kernels = 0.0, list[Kernel]()
        self.listed = ListOperations(device)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Begin and end the measurements; what follows is the next iteration, the reading of its clips included."""
        done = batch_idx + 1
        if done == self.warm:
            self._begin = self._now()
        elif done == self.warm + self.steps:
            self.seconds = (self._now() - self._begin) / self.steps
            if self.device == 'cuda':
                self._profiler = profiler()
                self._profiler.start()
        elif done == self.iterations - 1:
            if self.device == 'cuda':
                self._now()
                self._profiler.stop()
                self.kernels = kernels_of(self._profiler)
            vars(runner.model).pop('loss', None)  # a compiled loss
            self.listed.__enter__()
        elif done == self.iterations:
            self.listed.__exit__(None, None, None)

    def _now(self) -> float:
        if self.device == 'cuda':
            torch.cuda.synchronize()
        return time.perf_counter()


def measure_profile(device: str, tiny: bool) -> dict[str, Any]:
    """The training step of SkeAttnCLR in the Runner.

    Returns:
        ``config``, ``batch``, ``precision``, ``resident``, ``switches``, ``step_ms`` (mean), ``ceilings``, the values
        of :func:`~skeattn.benchmark.floor.floor`, ``times_floor``, and ``gpu``: the values of
        :func:`~skeattn.benchmark.kernels.summary`, None on a CPU, empty where the profiler sees no kernels.
    """
    setting = Setting(device=device, **(TINY if tiny else {'batch': 128}))
    sizes = (8192, 2**32) if device == 'cuda' and not tiny else (setting.matrix, setting.copied)
    hook = StepProfile(device, *((1, 2) if tiny else (20, 10)))
    facts = train_on_random_clips(hook.iterations * setting.batch, setting.batch, tiny, hook, switches_for(device))
    limits = ceilings(Clock(device), *sizes)
    found, step_ms = floor(hook.listed.found, limits), 1000 * hook.seconds
    gpu = None if device == 'cpu' else summary(hook.kernels, hook.steps) if hook.kernels else {}
    facts = {'config': RECIPE, **{key: facts[key] for key in ('batch', 'precision', 'resident', 'switches')}}
    return {
        **facts,
        'step_ms': step_ms,
        'ceilings': limits,
        **found,
        'times_floor': step_ms / found['floor_ms'],
        'gpu': gpu,
    }
