"""The probe by ridge regression, the default: as accurate as logistic regression and many times cheaper."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skeattn.evaluation.features import Features
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.probe import PenalisedProbe, Solution
from skeattn.evaluation.ridge import Clips, Equations, Planes, equations
from skeattn.evaluation.scaling import scaling
from skeattn.progress import progress
from skeattn.registry import EVALUATORS

PENALTIES = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4)


@EVALUATORS.register_module()
class RidgeProbe(PenalisedProbe):
    """Accuracy of ridge regression on one-hot targets; folds, metrics and standardisation: :class:`PenalisedProbe`.

    The penalty with the highest accuracy on the held-out clips is kept, the strongest of equal ones. See
    :mod:`skeattn.evaluation.ridge` for the objective and its solution, which is direct and draws nothing at random.

    Args:
        penalties: candidates; the penalty is on the mean squared error, so scikit-learn's alpha is N * penalty.
        folds, seed, device: see :class:`PenalisedProbe`.

    Raises:
        ConfigError: no penalty or one that is not positive, or fewer than two folds.
    """

    def __init__(
        self, penalties: Sequence[float] = PENALTIES, folds: int = 5, seed: int = 0, device: str | None = None
    ) -> None:
        super().__init__(penalties, folds, seed, device)

    def solve(self, bank: Features, test: Features, folds: Tensor, classes: int, device: torch.device) -> Solution:
        """See :meth:`PenalisedProbe.solve`."""
        clips, problem = equations(bank.x, bank.labels, classes, folds, scaling(bank.x, device))
        heldout = torch.empty(len(self.penalties), len(bank), classes)
        for fold in progress(range(int(folds.max()) + 1), 'choosing the penalty'):
            rows = torch.nonzero(folds == fold)[:, 0]
            planes = self.fit(problem, self.penalties, left_out=fold)
            heldout[:, rows] = planes.scores(clips, rows.to(device)).cpu()
        accuracies = [accuracy(scores, bank.labels) for scores in heldout]
        best = accuracies.index(max(accuracies))
        final = self.fit(problem, self.penalties[best : best + 1])
        scores = final.scores(Clips(test.x, *clips[1:]), torch.arange(len(test), device=device))[0].cpu()
        named = {f'{penalty:.3g}': value for penalty, value in zip(self.penalties, accuracies, strict=True)}
        linear = clips.scaling.undo(final.weights[0].double(), final.bias[0])
        return Solution(self.penalties[best], heldout[best], scores, linear, {'heldout_accuracy': named})

    def fit(self, problem: Equations, penalties: tuple[float, ...], left_out: int | None = None) -> Planes:
        """The classifiers for these penalties, without the clips of a fold."""
        return problem.solve(penalties, left_out)
