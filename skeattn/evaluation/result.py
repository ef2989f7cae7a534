"""The result of a protocol: metrics, and the class scores behind them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor


@dataclass
class Scores:
    """Class scores of named clips, for fusion, accuracy by class and confusion.

    Args:
        scores: (N, classes), higher is likelier; the logits of a classifier.
        labels: (N,) int64.
        names: N clip names.
    """

    scores: Tensor
    labels: Tensor
    names: list[str]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class LinearScores:
    """A trained linear classifier: the scores of features ``x`` ``(N, D)`` are ``x W + b``.

    Args:
        weights: (D, K) float64.
        bias: (K,) float64.
        heldout: scores of training clips by a classifier that was trained without them, if there are any.
    """

    weights: Tensor
    bias: Tensor
    heldout: Scores | None


@dataclass
class ProtocolResult:
    """The result of one protocol.

    Args:
        metrics: name -> value; accuracies are in percent.
        test: scores of the test clips, at one epoch or K; None if the protocol has no classes.
        heldout: scores of the clips of held-out training subjects, by a classifier trained without them; None without
            such subjects.
        curves: name -> one value per epoch.
        arrays: kind -> arrays by name, written beside a record; ``points`` is also drawn as a map.
        probe: the trained classifier, if it is linear in the features.
        notes: metric -> reason why it is missing.
        facts: other facts for the record; ``scores_of``: the epoch or K of ``test``; ``selection``: metric -> how it
            was chosen, where there is no epoch or K.
    """

    metrics: dict[str, float]
    test: Scores | None = None
    heldout: Scores | None = None
    curves: dict[str, list[float]] = field(default_factory=dict)
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    probe: LinearScores | None = None
    notes: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
