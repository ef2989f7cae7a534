"""Ridge regression on one-hot targets: many penalties, with and without each fold, from one pass over the clips.

With standardised features X ``(N, D)``, targets y ``(K,)`` of a clip, 1 for its class and -1 for the others, and a
penalty ``lam`` it minimises over W ``(D, K)`` and b ``(K,)``

    mean over clips of ||x W + b - y||^2  +  lam * ||W||^2,

the objective of scikit-learn's ``RidgeClassifier(alpha=N * lam)``. The solution needs the products of the features
alone: ``X^T X`` of every fold if there are more clips than features, else ``X X^T``. Leaving out a fold is then a sum
over the others, and a penalty costs one Cholesky factorisation. Few features are multiplied in float64, many in
float32; systems are solved in float64.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.evaluation.scaling import Scaling, blocks, parts

SMALL = 2**24
"""Up to this number of values, products are in float64."""
LARGEST = 2**14
"""The smaller one of clips and features must not exceed it: the products would need more than 7 GB."""
PANEL = 1024
"""Columns of ``X^T X`` that are computed at a time; only what is needed of the lower triangle is kept."""


class Clips(NamedTuple):
    """Features that are standardised when they are read.

    Args:
        x: (N, D) on any device.
        scaling: on the device of the computation.
        dtype: of the standardised features.
    """

    x: Tensor
    scaling: Scaling
    dtype: torch.dtype

    def read(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Parts of the row numbers, each with its standardised features."""
        for part in parts(rows, self.x.shape[1]):
            yield part, self.scaling(self.x[part.to(self.x.device)], self.dtype)


class Planes(NamedTuple):
    """Solutions for P penalties.

    Args:
        weights: (P, D, K).
        bias: (P, K) float64.
    """

    weights: Tensor
    bias: Tensor

    def scores(self, clips: Clips, rows: Tensor) -> Tensor:
        """(P, len(rows), K) float32, about 1 for the class of a clip and -1 for the others."""
        P, D, K = self.weights.shape
        flat = self.weights.transpose(0, 1).reshape(D, P * K).to(clips.dtype)
        parts = [(x @ flat).view(-1, P, K).transpose(0, 1) + self.bias[:, None] for _, x in clips.read(rows)]
        return torch.cat(parts, dim=1).float()


class Equations(Protocol):
    """The problem with its products computed.

    Attributes:
        cross: (F, D, K + 1) float64, ``X^T`` times the targets, and times ones, of the clips of each fold.
        sums: (F, K + 1) float64, sums of the targets, and numbers of clips.
    """

    cross: Tensor
    sums: Tensor

    def solve(self, penalties: Sequence[float], left_out: int | None = None) -> Planes:
        """The solutions for these penalties, without the clips of a fold.

        Raises:
            ConfigError: a penalty is too small for the precision of the products.
        """


class FeatureProducts:
    """Products ``X^T X`` of every fold, for at least as many clips as features.

    Args:
        clips: the training clips.
        targets: (N, K).
        folds: (N,) fold of each clip, 0..F-1.
    """

    def __init__(self, clips: Clips, targets: Tensor, folds: Tensor) -> None:
        D, F = clips.x.shape[1], int(folds.max()) + 1
        targets = with_ones(targets)
        self.panels = [targets.new_zeros(F, D - s, min(PANEL, D - s), dtype=clips.dtype) for s in range(0, D, PANEL)]
        self.cross = targets.new_zeros(F, D, targets.shape[1])
        self.sums = torch.stack([targets[folds == fold].sum(dim=0) for fold in range(F)])
        for fold in range(F):
            for part, x in clips.read(torch.nonzero(folds == fold)[:, 0]):
                for panel, start in zip(self.panels, range(0, D, PANEL), strict=True):
                    panel[fold].addmm_(x[:, start:].T, x[:, start : start + PANEL])
                self.cross[fold] += x.T @ targets[part].to(x.dtype)

    def solve(self, penalties: Sequence[float], left_out: int | None = None) -> Planes:
        """See :class:`Equations`."""
        kept = [fold for fold in range(len(self.sums)) if fold != left_out]
        D = self.cross.shape[1]
        gram = self.cross.new_zeros(D, D)
        for panel, start in zip(self.panels, range(0, D, PANEL), strict=True):
            for fold in kept:
                gram[start:, start : start + PANEL] += panel[fold]
        cross, sums = self.cross[kept].sum(dim=0), self.sums[kept].sum(dim=0)
        weights, biases = [], []
        for U in _solutions(gram, cross, penalties, float(sums[-1])):
            bias = (sums[:-1] - cross[:, -1] @ U[:, :-1]) / (sums[-1] - cross[:, -1] @ U[:, -1])
            weights.append(U[:, :-1] - U[:, -1:] * bias)
            biases.append(bias)
        return Planes(torch.stack(weights), torch.stack(biases))


class ClipProducts:
    """Products ``X X^T`` of all clips, for fewer clips than features: W is a combination of clips.

    Args:
        clips, targets, folds: see :class:`FeatureProducts`.
    """

    def __init__(self, clips: Clips, targets: Tensor, folds: Tensor) -> None:
        self.clips, self.targets, self.folds = clips, with_ones(targets), folds
        (N, D), F = clips.x.shape, int(folds.max()) + 1
        self.cross = targets.new_zeros(F, D, self.targets.shape[1])
        self.sums = torch.stack([self.targets[folds == fold].sum(dim=0) for fold in range(F)])
        for fold in range(F):
            for part, x in clips.read(torch.nonzero(folds == fold)[:, 0]):
                self.cross[fold] += x.T @ self.targets[part].to(x.dtype)
        self.gram = targets.new_zeros(N, N, dtype=clips.dtype)
        for columns in blocks(D, N):
            x = clips.scaling.columns(columns)(clips.x[:, columns], clips.dtype)
            self.gram.addmm_(x, x.T)

    def solve(self, penalties: Sequence[float], left_out: int | None = None) -> Planes:
        """See :class:`Equations`."""
        rows = torch.nonzero(self.folds != (-1 if left_out is None else left_out))[:, 0]
        gram, weights, biases = self.gram[rows][:, rows].double(), [], []
        for U in _solutions(gram, self.targets[rows], penalties, len(rows)):
            bias = U[:, :-1].sum(dim=0) / U[:, -1].sum()
            weights.append(U[:, :-1] - U[:, -1:] * bias)
            biases.append(bias)
        of_clips, P = torch.cat(weights, dim=1).to(self.clips.dtype), len(weights)
        flat = of_clips.new_zeros(self.clips.x.shape[1], of_clips.shape[1], dtype=torch.float64)
        done = 0
        for part, x in self.clips.read(rows):
            flat += x.T @ of_clips[done : done + len(part)]
            done += len(part)
        return Planes(flat.view(len(flat), P, -1).transpose(0, 1), torch.stack(biases))


def equations(x: Tensor, labels: Tensor, K: int, folds: Tensor, scale: Scaling) -> tuple[Clips, Equations]:
    """The training clips and their products, on the device of ``scale``.

    Args:
        x: (N, D) features.
        labels: (N,) int64 in 0..K-1; classes without clips have the score -1.
        K: number of classes.
        folds: (N,) int64.
        scale: of the training clips.

    Raises:
        ConfigError: too many clips and features.
    """
    N, D = x.shape
    if min(N, D) > LARGEST:
        raise ConfigError(
            f'RidgeProbe: {N} clips of {D} features need products of {min(N, D)} x {min(N, D)}; use a readout with '
            f'fewer features, or protocols.probe.type=LogisticProbe'
        )
    device = scale.mean.device
    clips = Clips(x, scale, torch.float64 if N * D <= SMALL else torch.float32)
    targets = torch.full((N, K), -1.0, dtype=torch.float64, device=device)
    targets[torch.arange(N, device=device), labels.to(device)] = 1
    return clips, (FeatureProducts if D <= N else ClipProducts)(clips, targets, folds.to(device))


def with_ones(targets: Tensor) -> Tensor:
    """Targets and a column of ones, whose solution gives the bias by elimination."""
    return torch.cat([targets, targets.new_ones(len(targets), 1)], dim=1)


def _solutions(gram: Tensor, right: Tensor, penalties: Sequence[float], clips: float) -> Iterator[Tensor]:
    """Solutions of (gram + clips * penalty) U = right; only the lower triangle of ``gram`` is read."""
    diagonal = gram.diagonal().clone()
    for penalty in penalties:
        gram.diagonal().copy_(diagonal + clips * penalty)
        factor, failed = torch.linalg.cholesky_ex(gram)
        if failed:
            raise ConfigError(
                f'RidgeProbe: penalty {penalty:.3g} is too small for the precision of these features; give larger '
                f'protocols.probe.penalties'
            )
        half = torch.linalg.solve_triangular(factor, right, upper=False)  # cholesky_solve would copy the factor
        yield torch.linalg.solve_triangular(factor.mT, half, upper=True)
