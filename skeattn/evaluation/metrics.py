"""Accuracy of class scores over all clips and by class, and the confusion matrix."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skeattn.evaluation.result import Scores


def accuracy(scores: Tensor, labels: Tensor, k: int = 1) -> float:
    """Percentage of clips whose label (N,) is among the k highest of their scores (N, classes).

    With k = 1, ties go to the lowest class index.
    """
    guesses = scores.argmax(dim=1, keepdim=True) if k == 1 else scores.topk(k, dim=1).indices
    return 100 * (guesses == labels[:, None]).any(dim=1).double().mean().item()


def confusion(scores: Scores, classes: Sequence[str]) -> list[list[int]]:
    """Numbers of clips: a row for each true class, a column for each predicted class, both in label order."""
    guesses, C = scores.scores.argmax(dim=1), len(classes)
    return torch.bincount(scores.labels * C + guesses, minlength=C * C).reshape(C, C).tolist()


def per_class(scores: Scores, classes: Sequence[str]) -> dict[str, float | None]:
    """Percentage of correctly recognised clips of every class; None for a class without clips."""
    rows = zip(classes, confusion(scores, classes), strict=True)
    return {name: 100 * row[label] / sum(row) if any(row) else None for label, (name, row) in enumerate(rows)}
