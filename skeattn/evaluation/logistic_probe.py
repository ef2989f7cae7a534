"""The probe by multinomial logistic regression."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from skeattn.evaluation.features import Features
from skeattn.evaluation.logistic import Basis, Fit, fit, principal_axes
from skeattn.evaluation.probe import PenalisedProbe, Solution
from skeattn.evaluation.scaling import Scaling, scaling
from skeattn.registry import EVALUATORS

PENALTIES = tuple(10.0 ** (power / 2) for power in range(4, -11, -1))

NEVER = -1e9
"""Score of a class without training clips."""


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


class FittedProbe(NamedTuple):
    """A classifier of features.

    Args:
        standardise, basis: from features to the coordinates of the fit.
        fit: a column for each class that occurs among the training clips, in ascending order.
        choice: of its penalty.
    """

    standardise: Scaling
    basis: Basis
    fit: Fit
    choice: Choice

    def logits(self, x: Tensor) -> Tensor:
        """(N, K) float32 of features (N, D)."""
        return self.fit.logits(self.basis(self.standardise(x)))

    def linear(self) -> tuple[Tensor, Tensor]:
        """Weights (D, K) and bias (K,), float64, of the same logits as a linear function of the features."""
        weights = self.fit.weights if self.basis.axes is None else self.basis.axes @ self.fit.weights
        return self.standardise.undo(weights, self.fit.bias)


@EVALUATORS.register_module()
class LogisticProbe(PenalisedProbe):
    """Accuracy of multinomial logistic regression; folds, metrics and standardisation: :class:`PenalisedProbe`.

    The penalty with the lowest mean cross entropy of the held-out clips is kept. Penalties are tried from the strongest
    on, until two in a row are worse than the best. See :mod:`skeattn.evaluation.logistic` for the objective and its
    solution, which does not depend on a random draw.

    Args:
        penalties: candidates; the penalty is on the mean cross entropy, so scikit-learn's C is 1 / (N * penalty).
        folds: number of folds; fewer if there are fewer subjects.
        tolerance: of the gradient, see :func:`~skeattn.evaluation.logistic.fit`.
        max_iterations: of each fit; a warning names a fit that needs more.
        seed, device: see :class:`PenalisedProbe`.

    Raises:
        ConfigError: no penalty or one that is not positive, or fewer than two folds.
    """

    def __init__(
        self,
        penalties: Sequence[float] = PENALTIES,
        folds: int = 5,
        tolerance: float = 1e-6,
        max_iterations: int = 1000,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        super().__init__(penalties, folds, seed, device)
        self.tolerance, self.max_iterations = tolerance, max_iterations

    def solve(self, bank: Features, test: Features, folds: Tensor, classes: int, device: torch.device) -> Solution:
        """See :meth:`PenalisedProbe.solve`."""
        found = self.fit(bank, folds, classes, device)
        choice, final = found.choice, found.fit
        logits = _filled(found.logits(test.x), bank.labels.to(device), classes).cpu()
        facts = {
            'heldout_loss': {f'{penalty:.3g}': loss for penalty, loss in choice.losses.items()},
            'iterations': final.iterations,
            'converged': final.converged,
        }
        weights, bias = found.linear()
        of_all = weights.new_zeros(len(weights), classes), bias.new_full((classes,), NEVER)
        for whole, part in zip(of_all, (weights, bias), strict=True):
            whole[..., bank.labels.unique()] = part
        return Solution(choice.penalty, choice.logits, logits, of_all, facts)

    def fit(self, bank: Features, folds: Tensor, classes: int, device: torch.device) -> 'FittedProbe':
        """The classifier with the chosen penalty; for the arguments see :meth:`PenalisedProbe.solve`."""
        standardise = scaling(bank.x, device)
        x = standardise(bank.x)
        basis = principal_axes(x)
        z, labels = basis(x), bank.labels.to(device)
        del x
        choice = self._choose(z, labels, basis.variances, folds.to(device), classes)
        return FittedProbe(standardise, basis, self._fit(z, labels, basis.variances, choice.penalty), choice)

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
