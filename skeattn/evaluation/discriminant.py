"""Penalised discriminant analysis, from the solution of a ridge regression on one-hot targets.

With S the covariance of the clips around the means m of their classes, p the share of each class and penalty ``lam``,
the score of a class is the logarithm of its density times its share, if all classes are normal with covariance
``S + lam I``, up to a term that all classes have in common:

    x (S + lam I)^-1 m  -  m (S + lam I)^-1 m / 2  +  log p.

Ridge regression yields ``(T + lam I)^-1 m`` for the covariance T = S + sum of p m m^T around the mean of all clips. The
step from T to S is one between classes (Hastie, Buja and Tibshirani, Penalized Discriminant Analysis, 1995): it
removes what hides a class between two others from a regression, which matters where features are few.
"""

import torch
from torch import Tensor

from skeattn.evaluation.ridge import Equations, Planes
from skeattn.evaluation.ridge_probe import RidgeProbe
from skeattn.registry import EVALUATORS

LOWEST = -1e9
"""Score of a class without clips."""


@EVALUATORS.register_module()
class DiscriminantProbe(RidgeProbe):
    """Accuracy of penalised discriminant analysis; everything else is that of :class:`RidgeProbe`, also the cost."""

    def fit(self, problem: Equations, penalties: tuple[float, ...], left_out: int | None = None) -> Planes:
        """See :meth:`RidgeProbe.fit`."""
        kept = [fold for fold in range(len(problem.sums)) if fold != left_out]
        cross, sums = problem.cross[kept].sum(dim=0), problem.sums[kept].sum(dim=0)
        counts, class_sums = (sums[:-1] + sums[-1]) / 2, (cross[:, :-1] + cross[:, -1:]) / 2  # targets are 1 and -1
        return discriminant(problem.solve(penalties, left_out), counts, class_sums)


def discriminant(planes: Planes, counts: Tensor, class_sums: Tensor) -> Planes:
    """The discriminants of the clips to which ridge regressions on targets 1 and -1 were fitted.

    Args:
        planes: the regressions.
        counts: (K,) clips of each class.
        class_sums: (D, K) sums of the features of each class.
    """
    known, total = torch.nonzero(counts)[:, 0], counts.sum()
    share, mean = counts[known] / total, class_sums.sum(dim=1) / total
    centred = class_sums[:, known] / counts[known] - mean[:, None]
    weights, bias = torch.zeros_like(planes.weights), torch.full_like(planes.bias, LOWEST)
    for i, plane in enumerate(planes.weights):
        of_total = plane[:, known] / (2 * share)
        between = torch.eye(len(known), dtype=share.dtype, device=share.device) - share[:, None] * (
            centred.T @ of_total
        )
        of_classes = torch.linalg.solve(between, of_total, left=False)
        weights[i, :, known] = of_classes
        bias[i, known] = share.log() - mean @ of_classes - (centred * of_classes).sum(dim=0) / 2
    return Planes(weights, bias)
