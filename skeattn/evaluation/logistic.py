"""L2-regularised multinomial logistic regression, solved to convergence on any number of features.

With standardised features X ``(N, D)``, labels y and penalty ``lam`` it minimises over W ``(D, K)`` and b ``(K,)``

    mean over clips of -log softmax(x W + b)[y]  +  lam / 2 * ||W||^2.

The objective is strictly convex in W, so the solution depends on the data alone: there is no learning rate and no
random start. Products run in float64 over blocks of rows; many features stay float32.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from skeattn.evaluation.scaling import blocks, parts

SMALL = 2**24
"""Up to this number of values, features are kept in float64, too."""
LARGEST = 2**14
"""Features and clips above which no basis is computed: its matrix would need more than 2 GB."""


class Basis(NamedTuple):
    """Principal axes of features, in which the problem is the same and its curvature is known.

    Args:
        axes: (D, r) float64 with orthonormal columns, r the rank; None for the features themselves.
        variances: (r,) float64, mean squares of the features along the axes.
    """

    axes: Tensor | None
    variances: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Coordinates (N, r) of features (N, D), float32, or float64 if they are few."""
        N, r = len(x), len(self.variances)
        z = torch.empty(N, r, dtype=torch.float64 if N * r <= SMALL else torch.float32, device=x.device)
        for rows in blocks(N, x.shape[1]):
            z[rows] = (x[rows].double() if self.axes is None else x[rows].double() @ self.axes).to(z.dtype)
        return z


def principal_axes(x: Tensor) -> Basis:
    """The basis of standardised features (N, D), from the smaller one of the matrices (D, D) and (N, N).

    L2 regularisation does not see a rotation, and the solution lies in the span of the clips, also of a part of them.
    """
    N, D = x.shape
    if min(N, D) > LARGEST:
        return Basis(None, x.new_ones(D, dtype=torch.float64))
    gram = x.new_zeros(min(N, D), min(N, D), dtype=torch.float64)
    if D <= N:
        for rows in blocks(N, D):
            gram += (part := x[rows].double()).T @ part
    else:
        for columns in blocks(D, N):
            gram += (part := x[:, columns].double()) @ part.T
    squares, vectors = torch.linalg.eigh(gram)
    kept = squares > 1e-10 * squares[-1].clamp(min=1e-300)
    squares, vectors = squares[kept], vectors[:, kept]
    if D > N:
        axes = torch.cat([x[:, columns].double().T @ vectors for columns in blocks(D, N)]) / squares.sqrt()
        return Basis(axes, squares / N)
    return Basis(vectors, squares / N)


class Fit(NamedTuple):
    """A solution.

    Args:
        weights: (r, K) float64.
        bias: (K,) float64.
        objective: its value.
        iterations: of L-BFGS.
        converged: whether the gradient fell below the tolerance, or the objective to the precision of float64.
    """

    weights: Tensor
    bias: Tensor
    objective: float
    iterations: int
    converged: bool

    def logits(self, z: Tensor) -> Tensor:
        """(N, K) float32 of coordinates (N, r)."""
        parts = [z[rows].double() @ self.weights + self.bias for rows in blocks(*z.shape)]
        return torch.cat(parts).float()


def fit(
    z: Tensor,
    labels: Tensor,
    K: int,
    penalty: float,
    variances: Tensor,
    rows: Tensor | None = None,
    start: Fit | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
) -> Fit:
    """Minimise the objective by L-BFGS over the full batch, in coordinates scaled by the expected curvature.

    Args:
        z: (N, r) coordinates of standardised features in a basis.
        labels: (N,) int64 in 0..K-1.
        K: number of classes.
        penalty: lam.
        variances: (r,), of the basis.
        rows: clips to fit; by default all.
        start: a solution to start from.
        tolerance: of the largest entry of the gradient, in the scaled coordinates.
        max_iterations: of L-BFGS.
    """
    rows = torch.arange(len(z), device=z.device) if rows is None else rows
    r, weight = z.shape[1], 0.5 / K
    scale = (weight * variances + penalty).rsqrt()[:, None]
    scale = torch.cat([scale, scale.new_full((1, 1), weight**-0.5)])

    def unpacked(theta: np.ndarray) -> tuple[Tensor, Tensor]:
        values = torch.from_numpy(theta).to(z.device).view(r + 1, K) * scale
        return values[:r], values[r]

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = unpacked(theta)
        loss, gradient = z.new_zeros((), dtype=torch.float64), weights.new_zeros(r + 1, K)
        for part in parts(rows, r):
            x, y = z[part].double(), labels[part]
            log_p = (x @ weights + bias).log_softmax(dim=1)
            loss -= log_p.gather(1, y[:, None]).sum()
            error = log_p.exp()
            error[torch.arange(len(y), device=y.device), y] -= 1
            gradient[:r] += x.T @ error
            gradient[r] += error.sum(dim=0)
        gradient /= len(rows)
        gradient[:r] += penalty * weights
        value = loss / len(rows) + penalty / 2 * weights.square().sum()
        return float(value), (gradient * scale).flatten().cpu().numpy()

    begin = np.zeros((r + 1) * K)
    if start is not None:
        begin = (torch.cat([start.weights, start.bias[None]]) / scale).flatten().cpu().numpy()
    options = {'maxiter': max_iterations, 'maxfun': 2 * max_iterations, 'gtol': tolerance, 'ftol': 1e-12, 'maxcor': 20}
    found = minimize(objective, begin, jac=True, method='L-BFGS-B', options=options)
    return Fit(*unpacked(found.x), float(found.fun), int(found.nit), bool(found.success))
