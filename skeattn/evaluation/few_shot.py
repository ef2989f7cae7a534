"""A classifier fitted to few labelled clips, with calibrated probabilities, which rejects what it does not know."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.calibration import fit_temperature
from skeattn.evaluation.evaluator import working_device
from skeattn.evaluation.features import Features
from skeattn.evaluation.knn import nearest_neighbours
from skeattn.evaluation.logistic_probe import PENALTIES, LogisticProbe
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.probe import class_folds, subject_folds

UNKNOWN = 'unknown'
"""Name of the prediction for a clip that resembles no known class."""
ACCEPT = 0.9
"""Share of clips of known classes that are to be accepted."""


class FewShotScores(NamedTuple):
    """The result for clips.

    Args:
        probabilities: (N, K) float32, of the known classes.
        similarity: (N,) cosine similarity to the nearest training clip.
        unknown: (N,) bool, rejected clips.
    """

    probabilities: Tensor
    similarity: Tensor
    unknown: Tensor


@dataclass(frozen=True)
class FewShotProbe:
    """Multinomial logistic regression on features, a temperature, and two thresholds.

    A clip is rejected if its cosine similarity to the nearest training clip is below ``least_similarity``, or its
    highest probability below ``least_probability``.

    Args:
        weights: (D, K) float64.
        bias: (K,) float64.
        bank: (N, D) float32, features of the training clips.
        temperature: of the probabilities.
        least_similarity, least_probability: thresholds.
        num_streams: see :class:`~skeattn.evaluation.features.Features`.
        facts: how it was fitted.
    """

    weights: Tensor
    bias: Tensor
    bank: Tensor
    temperature: float
    least_similarity: float
    least_probability: float
    num_streams: int = 1
    facts: dict[str, Any] = field(default_factory=dict)

    def logits(self, x: Tensor) -> Tensor:
        """(N, K) float64 of features (N, D), before the temperature."""
        return x.double() @ self.weights + self.bias

    def __call__(self, x: Tensor) -> FewShotScores:
        """Probabilities and rejections of features (N, D)."""
        probabilities = (self.logits(x) / self.temperature).softmax(dim=1)
        similarity = nearest_neighbours(x, self.bank, 1, self.num_streams, device='cpu')[0][:, 0]
        unlike = similarity < self.least_similarity
        return FewShotScores(
            probabilities.float(), similarity, unlike | (probabilities.amax(dim=1) < self.least_probability)
        )


def fit_few_shot(
    clips: Features,
    accept: float = ACCEPT,
    folds: int = 5,
    seed: int = 0,
    penalties: Sequence[float] = PENALTIES,
) -> FewShotProbe:
    """Fit the classifier; every choice is made on held-out clips.

    1. Each fold is predicted by :class:`~skeattn.evaluation.logistic_probe.LogisticProbe` fitted to the other folds,
       which chooses the penalty. Folds are of whole subjects if these are known and no class is lost; otherwise of
       clips, dealt out class by class.
    2. The temperature has the lowest cross entropy on these predictions.
    3. Each threshold is the quantile ``(1 - accept) / 2`` of the held-out clips: of their highest probability, and of
       their similarity to the nearest clip of the other folds. So both rules together reject at most about
       ``1 - accept`` of the clips of known classes.

    Args:
        clips: features with labels 0..K-1, of which all occur.
        accept: share of the clips of known classes that is to be accepted; 1 rejects only what is farther than every
            held-out clip.
        folds: number of folds, fewer if there are fewer clips or subjects.
        seed: of the folds.
        penalties: candidates.

    Raises:
        DataError: fewer than two classes, or fewer than two clips of a class; names its label.
        ConfigError: ``accept`` is outside (0, 1], or ``folds`` below 2.
    """
    if folds < 2:
        raise ConfigError(f'folds={folds}: every choice is made on held-out clips; choose at least 2')
    if not isinstance(accept, Real) or not 0 < accept <= 1:
        raise ConfigError(f'accept={accept!r} is the share of known clips to accept; choose it in (0, 1]')
    check_counts(clips.labels)
    fold_of = _folds(clips, folds, seed)
    K, device = int(clips.labels.max()) + 1, working_device()
    found = LogisticProbe(penalties).fit(clips, fold_of, K, device)
    heldout = found.choice.logits
    T = fit_temperature(heldout, clips.labels)
    confidence = (heldout.double() / T).softmax(dim=1).amax(dim=1)
    share = (1 - accept) / 2
    weights, bias = (value.cpu() for value in found.linear())
    return FewShotProbe(
        weights,
        bias,
        clips.x.float(),
        T,
        least_similarity=_quantile(_heldout_similarity(clips, fold_of), share),
        least_probability=_quantile(confidence, share),
        num_streams=clips.num_streams,
        facts={
            'penalty': found.choice.penalty,
            'folds': int(fold_of.max()) + 1,
            'heldout_top1': accuracy(heldout, clips.labels),
            'accept': accept,
        },
    )


def check_counts(labels: Tensor) -> None:
    """Refuse labels from which nothing can be chosen on held-out clips.

    Raises:
        DataError: see :func:`fit_few_shot`.
    """
    known, counts = labels.unique(return_counts=True)
    if len(known) < 2:
        raise DataError(f'all {len(labels)} clips have one label; give clips of at least two classes')
    if (counts < 2).any():
        label = int(known[counts.argmin()])
        raise DataError(f'label {label} has one clip; give at least two of every class, five or more are better')


def _folds(clips: Features, count: int, seed: int) -> Tensor:
    """Fold of each clip, such that every class occurs outside each fold."""
    if (clips.subjects >= 0).all():
        by_subject = subject_folds(clips.subjects, count)
        classes = len(clips.labels.unique())
        if all(len(clips.labels[by_subject != fold].unique()) == classes for fold in by_subject.unique()):
            return by_subject
    return class_folds(clips.labels, count, seed)


def _heldout_similarity(clips: Features, folds: Tensor) -> Tensor:
    """(N,) similarity of each clip to the nearest clip of the other folds."""
    similarity = torch.zeros(len(clips))
    for fold in folds.unique():
        held = folds == fold
        found, _ = nearest_neighbours(clips.x[held], clips.x[~held], 1, clips.num_streams, device='cpu')
        similarity[held] = found[:, 0]
    return similarity


def _quantile(values: Tensor, share: float) -> float:
    """The value below which at most a share of the values lies; it is one of them."""
    return float(values.double().sort().values[int(share * (len(values) - 1))])
