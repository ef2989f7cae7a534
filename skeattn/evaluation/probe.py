"""A well-conditioned linear probe: one solution for given features, without learning rate and random start."""

import logging
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.evaluation.evaluator import Evaluator
from skeattn.evaluation.features import NO_HELD_OUT, Features
from skeattn.evaluation.logistic import Fit, fit, principal_axes, scaling
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import ProtocolResult, Scores
from skeattn.registry import EVALUATORS

PENALTIES = tuple(10.0 ** (power / 2) for power in range(4, -11, -1))


class Choice(NamedTuple):
    """The choice of the penalty.

    Args:
        penalty: the chosen one.
        losses: penalty -> mean cross entropy of the held-out clips.
        logits: (N, classes) of every training clip, by the fit without its fold and with the chosen penalty.
    """

    penalty: float
    losses: dict[float, float]
    logits: Tensor


@EVALUATORS.register_module()
class LogisticProbe(Evaluator):
    """Accuracy of multinomial logistic regression with an L2 penalty on standardised features.

    Mean and deviation of each feature are those of the training clips; a constant feature counts as zero. The penalty
    is chosen on held-out training subjects: each fold of whole subjects is predicted by a fit on the other folds, and
    the penalty with the lowest mean cross entropy is kept. If the subjects are unknown or only one, the folds are of
    clips, stratified by class and drawn by ``seed``. Penalties are tried from the strongest on, until two in a row are
    worse than the best. The final fit uses all training clips. No test clip takes part in any choice. See
    :mod:`skeattn.evaluation.logistic` for the objective and its solution, which does not depend on a random draw.

    Metrics in percent: ``top1``; ``heldout_top1``, of the training clips by the fits without them; ``top5`` with more
    than five classes. Scores of the streams of a vector are not averaged: one classifier reads all of them.

    Args:
        penalties: candidates; the penalty is on the mean cross entropy, so scikit-learn's C is 1 / (N * penalty).
        folds: number of folds; fewer if there are fewer subjects.
        tolerance: of the gradient, see :func:`~skeattn.evaluation.logistic.fit`.
        max_iterations: of each fit; a warning names a fit that needs more.
        seed: of the folds, only where subjects are unknown.
        device: by default the accelerator if there is one.

    Raises:
        ConfigError: no penalty or one that is not positive, or fewer than two folds.
    """

    def __init__(
        self,
        penalties: tuple[float, ...] = PENALTIES,
        folds: int = 5,
        tolerance: float = 1e-6,
        max_iterations: int = 1000,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        if not penalties or min(penalties) <= 0 or folds < 2:
            raise ConfigError(
                f'LogisticProbe: penalties={penalties!r} and folds={folds!r}; give penalties > 0 and at least 2 folds'
            )
        self.penalties, self.folds = tuple(sorted(penalties, reverse=True)), folds
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.seed, self.device = seed, device

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """Metrics, logits of the test clips, and those of the training clips by the fits without them.

        Raises:
            ConfigError: fewer than two training clips.
        """
        if len(bank) < 2:
            raise ConfigError(f'LogisticProbe: {len(bank)} training clips are too few; give at least 2')
        device = torch.device(self.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        standardise = scaling(bank.x.to(device))
        x = standardise(bank.x.to(device))
        basis = principal_axes(x)
        z, labels = basis(x), bank.labels.to(device)
        del x
        grouped = not ((bank.subjects < 0).any() or len(bank.subjects.unique()) < 2)
        folds = subject_folds(bank.subjects, self.folds) if grouped else class_folds(bank.labels, self.folds, self.seed)
        classes = int(max(bank.labels.max(), test.labels.max())) + 1
        choice = self._choose(z, labels, basis.variances, folds.to(device), classes)
        final = self._fit(z, labels, basis.variances, choice.penalty)
        logits = _filled(final.logits(basis(standardise(test.x.to(device)))), labels, classes).cpu()
        chosen = 'held-out training subjects' if grouped else 'held-out training clips'
        result = ProtocolResult(
            {'top1': accuracy(logits, test.labels), 'heldout_top1': accuracy(choice.logits, bank.labels)},
            Scores(logits, test.labels, test.names),
            facts={
                'scores_of': f'penalty {choice.penalty:.3g}, chosen on {chosen}',
                'selection': dict.fromkeys(('top1', 'top5'), f'penalty chosen on {chosen}'),
                'penalty': choice.penalty,
                'chosen_on': f'{chosen}, {int(folds.max()) + 1} folds',
                'heldout_loss': {f'{penalty:.3g}': loss for penalty, loss in choice.losses.items()},
                'iterations': final.iterations,
                'converged': final.converged,
            },
        )
        if grouped:
            result.heldout = Scores(choice.logits, bank.labels, bank.names)
        else:
            result.facts['chosen_on'] += f': {NO_HELD_OUT}'
            print_log(f'probe: penalty chosen on {result.facts["chosen_on"]}', 'current', logging.WARNING)
        if classes > 5:
            result.metrics['top5'] = accuracy(logits, test.labels, 5)
        return result

    def _choose(self, z: Tensor, labels: Tensor, variances: Tensor, folds: Tensor, classes: int) -> Choice:
        best, worse = Choice(0.0, {}, z), 0
        losses: dict[float, float] = {}
        fits: dict[int, Fit] = {}
        for penalty in self.penalties:
            logits = torch.zeros(len(z), classes, device=z.device)
            total, count = 0.0, 0
            for fold in folds.unique().tolist():
                held, rows = torch.nonzero(folds == fold)[:, 0], torch.nonzero(folds != fold)[:, 0]
                fits[fold] = self._fit(z, labels, variances, penalty, rows, fits.get(fold))
                logits[held] = _filled(fits[fold].logits(z[held]), labels[rows], classes)
                known = held[torch.isin(labels[held], labels[rows])]  # a class without training clips has no choice
                total += F.cross_entropy(logits[known].double(), labels[known], reduction='sum').item()
                count += len(known)
            losses[penalty] = total / max(1, count)
            if not best.losses or losses[penalty] < losses[best.penalty]:
                best, worse = Choice(penalty, losses, logits.cpu()), 0
            else:
                worse += 1
            if worse == 2:
                break
        return best

    def _fit(
        self,
        z: Tensor,
        labels: Tensor,
        variances: Tensor,
        penalty: float,
        rows: Tensor | None = None,
        start: Fit | None = None,
    ) -> Fit:
        """A fit to the classes that occur among the clips."""
        occurring = (labels if rows is None else labels[rows]).unique()
        index = torch.searchsorted(occurring, labels).clamp(max=len(occurring) - 1)
        found = fit(z, index, len(occurring), penalty, variances, rows, start, self.tolerance, self.max_iterations)
        if not found.converged:
            print_log(
                f'probe: penalty {penalty:.3g} did not converge in {found.iterations} iterations; raise '
                f'protocols.probe.max_iterations',
                'current',
                logging.WARNING,
            )
        return found


def _filled(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Logits of the classes that occur among ``labels``, in a column for each class; the others are the lowest."""
    out = logits.new_full((len(logits), classes), float(logits.min()) - 1 if len(logits) else 0.0)
    out[:, labels.unique()] = logits
    return out


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
