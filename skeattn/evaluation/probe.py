"""A well-conditioned linear probe: one solution for given features, without learning rate and random start.

What its estimators share: the folds on which the penalty is chosen, and the result.
"""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.evaluation.evaluator import Evaluator, working_device
from skeattn.evaluation.features import NO_HELD_OUT, Features
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import LinearScores, ProtocolResult, Scores


class Solution(NamedTuple):
    """The choice of a penalty and the classifier with it, as scores.

    Args:
        penalty: the chosen one.
        heldout: (N, classes) of every training clip, by the fit without its fold.
        test: (N', classes) of the test clips, by the fit to all training clips.
        linear: weights (D, K) and bias (K,) of the scores of features that are not standardised, float64.
        facts: others for the record.
    """

    penalty: float
    heldout: Tensor
    test: Tensor
    linear: tuple[Tensor, Tensor]
    facts: dict[str, Any]


class PenalisedProbe(Evaluator):
    """Accuracy of a linear classifier with an L2 penalty on standardised features; a subclass implements :meth:`solve`.

    Mean and deviation of each feature are those of the training clips; a constant feature counts as zero. The penalty
    is chosen on held-out training subjects: each fold of whole subjects is predicted by a fit to the other folds. If
    the subjects are unknown or only one, the folds are of clips, stratified by class and drawn by ``seed``. The final
    fit uses all training clips. No test clip takes part in any choice.

    Metrics in percent: ``top1``; ``heldout_top1``, of the training clips by the fits without them; ``top5`` with more
    than five classes. Scores of the streams of a vector are not averaged: one classifier reads all of them.

    Args:
        penalties: candidates.
        folds: number of folds; fewer if there are fewer subjects.
        seed: of the folds, only where subjects are unknown.
        device: by default the accelerator if there is one.

    Raises:
        ConfigError: no penalty or one that is not positive, or fewer than two folds.
    """

    def __init__(self, penalties: Sequence[float], folds: int, seed: int, device: str | None) -> None:
        if not penalties or min(penalties) <= 0 or folds < 2:
            raise ConfigError(
                f'{type(self).__name__}: penalties={penalties!r} and folds={folds!r}; give penalties > 0 and at least '
                f'2 folds'
            )
        self.penalties, self.folds = tuple(sorted(penalties, reverse=True)), folds
        self.seed, self.device = seed, device

    def solve(self, bank: Features, test: Features, folds: Tensor, classes: int, device: torch.device) -> Solution:
        """Choose the penalty and fit; ``folds`` (N,) is the fold of each training clip."""
        raise NotImplementedError

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """Metrics, scores of the test clips, and those of the training clips by the fits without them.

        Raises:
            ConfigError: fewer than two training clips.
        """
        if len(bank) < 2:
            raise ConfigError(f'{type(self).__name__}: {len(bank)} training clips are too few; give at least 2')
        device = working_device(self.device)
        grouped = not ((bank.subjects < 0).any() or len(bank.subjects.unique()) < 2)
        folds = subject_folds(bank.subjects, self.folds) if grouped else class_folds(bank.labels, self.folds, self.seed)
        classes = int(max(bank.labels.max(), test.labels.max())) + 1
        found = self.solve(bank, test, folds, classes, device)
        chosen = 'held-out training subjects' if grouped else 'held-out training clips'
        heldout = Scores(found.heldout, bank.labels, bank.names)
        weights, bias = (value.cpu() for value in found.linear)
        result = ProtocolResult(
            {'top1': accuracy(found.test, test.labels), 'heldout_top1': accuracy(found.heldout, bank.labels)},
            Scores(found.test, test.labels, test.names),
            probe=LinearScores(weights, bias, heldout),
            facts={
                'scores_of': f'penalty {found.penalty:.3g}, chosen on {chosen}',
                'selection': dict.fromkeys(('top1', 'top5'), f'penalty chosen on {chosen}'),
                'penalty': found.penalty,
                'chosen_on': f'{chosen}, {int(folds.max()) + 1} folds',
                **found.facts,
            },
        )
        if grouped:
            result.heldout = heldout
        else:
            result.facts['chosen_on'] += f': {NO_HELD_OUT}'
            print_log(f'probe: penalty chosen on {result.facts["chosen_on"]}', 'current', logging.WARNING)
        if classes > 5:
            result.metrics['top5'] = accuracy(found.test, test.labels, 5)
        return result


def subject_folds(subjects: Tensor, count: int) -> Tensor:
    """Fold of each clip (N,): whole subjects, the largest first, each into the smallest fold so far."""
    known, clips = np.unique(subjects.numpy(), return_counts=True)
    sizes, fold_of = np.zeros(min(count, len(known)), np.int64), {}
    for place in np.lexsort((known, -clips)):
        fold_of[known[place]] = fold = int(sizes.argmin())
        sizes[fold] += clips[place]
    return torch.tensor([fold_of[subject] for subject in subjects.tolist()])


def class_folds(labels: Tensor, count: int, seed: int) -> Tensor:
    """Fold of each clip (N,): the clips of each class in a random order, dealt out one by one."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order].argsort(stable=True)]
    folds = torch.empty(len(labels), dtype=torch.int64)
    folds[order] = torch.arange(len(labels)) % min(count, len(labels))
    return folds
