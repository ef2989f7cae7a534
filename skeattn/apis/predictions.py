"""Predicted classes of clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skeattn.evaluation.few_shot import UNKNOWN


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted classes of N clips.

    >>> predictions = Predictions(('clip 0', 'clip 1'), ('sit', 'wave'), [[0.2, 0.8], [0.6, 0.4]], [False, True])
    >>> predictions.names
    ['wave', 'unknown']
    >>> print(predictions)
    clip 0: wave (80 %)
    clip 1: unknown (likeliest sit, 60 %)
    >>> predictions.top(1)
    [[('wave', 0.8)], [('sit', 0.6)]]

    Args:
        clips: names of the clips.
        classes: names of the K known classes.
        probabilities: ``(N, K)`` float32; the known classes sum to 1, also for a rejected clip.
        unknown: ``(N,)`` bool, clips that are rejected; by default none.
        similarity: ``(N,)`` cosine similarity to the nearest training clip, of a classifier that compares it.
    """

    clips: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: np.ndarray
    unknown: np.ndarray | None = None
    similarity: np.ndarray | None = None

    def __post_init__(self) -> None:
        unknown = np.zeros(len(self.clips), bool) if self.unknown is None else np.asarray(self.unknown, bool)
        object.__setattr__(self, 'unknown', unknown)
        object.__setattr__(self, 'probabilities', np.asarray(self.probabilities, np.float32))

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def names(self) -> list[str]:
        """For each clip the name of its likeliest class, or :data:`UNKNOWN`."""
        best: Sequence[int] = self.probabilities.argmax(axis=1).tolist()
        rejected = [] if self.unknown is None else self.unknown.tolist()
        return [UNKNOWN if out else self.classes[i] for i, out in zip(best, rejected, strict=True)]

    @property
    def confidence(self) -> np.ndarray:
        """Highest probability of each clip, ``(N,)``."""
        return np.asarray(self.probabilities.max(axis=1))

    def top(self, k: int = 5) -> list[list[tuple[str, float]]]:
        """For each clip the k likeliest known classes with their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities, axis=1, kind='stable')[:, :k]
        return [
            [(self.classes[i], round(float(row[i]), 6)) for i in best]
            for row, best in zip(self.probabilities, order, strict=True)
        ]

    def __str__(self) -> str:
        lines = []
        for clip, name, ((best, probability),) in zip(self.clips, self.names, self.top(1), strict=True):
            likeliest = f'likeliest {best}, ' if name == UNKNOWN else ''
            lines.append(f'{clip}: {name} ({likeliest}{100 * probability:.0f} %)')
        return '\n'.join(lines)
