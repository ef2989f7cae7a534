"""Progress of a training in another process, from its logged scalars."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from skeattn.reading import parse_json

_KEYS = {'epoch', 'iter', 'loss', 'time'}
"""Keys of a training step; evaluations are logged in the same file under different keys."""


@dataclass(frozen=True)
class TrainingState:
    """Progress of a training.

    Args:
        epoch: the current epoch, from 1.
        loss: mean of the latest steps.
        left: time until the last step, without evaluations.
    """

    epoch: int
    loss: float
    left: timedelta

    def __str__(self) -> str:
        return f'epoch {self.epoch}, loss {self.loss:.4f}, {self.left} left'


class TrainingLog:
    """Log of a training that starts now: mmengine's ``<work_dir>/<time>/vis_data/scalars.json``, one JSON per line.

    Args:
        work_dir: of the training; it may hold logs of earlier starts.
        iterations: returns the total number of training steps; called after the first steps.
    """

    def __init__(self, work_dir: Path, iterations: Callable[[], int]) -> None:
        self._work_dir = work_dir
        self._count = iterations
        self._earlier = set(self._files())

    def state(self) -> TrainingState | None:
        """The progress; None until the first step is logged."""
        steps = [step for file in self._files() if file not in self._earlier for step in _read_steps(file)]
        if not steps:
            return None
        latest = steps[-1]
        seconds = statistics.mean(step['time'] for step in steps) * max(0, self._iterations - latest['iter'])
        return TrainingState(latest['epoch'], latest['loss'], timedelta(seconds=round(seconds)))

    @cached_property
    def _iterations(self) -> int:
        return self._count()

    def _files(self) -> list[Path]:
        return sorted(self._work_dir.glob('*/vis_data/scalars.json'))


def _read_steps(file: Path) -> Iterator[dict[str, Any]]:
    """The training steps of a log; incomplete lines, still being written or truncated by a kill, are skipped."""
    for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.keys() >= _KEYS:
            yield entry
