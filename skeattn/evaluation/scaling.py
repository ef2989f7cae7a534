"""Features scaled block by block: by the statistics of the training clips, or to unit length."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 2**22
"""Values of a block in float64: 32 MB."""


class Scaling(NamedTuple):
    """Standardisation of features by the statistics of the training clips.

    Args:
        mean: (D,) float64.
        scale: (D,) float64, 1 / standard deviation; 0 for a constant feature.
    """

    mean: Tensor
    scale: Tensor

    def __call__(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standardised features (N, D), on the device of the statistics."""
        out = torch.empty(x.shape, dtype=dtype, device=self.mean.device)
        for rows in blocks(len(x), x.shape[1]):
            out[rows] = x[rows].to(self.mean.device, torch.float64, copy=True).sub_(self.mean).mul_(self.scale)
        return out

    def undo(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """A linear function of standardised features, weights (D, K) and bias (K,), as one of the features."""
        weights = self.scale[:, None] * weights
        return weights, bias - self.mean @ weights

    def columns(self, columns: slice) -> 'Scaling':
        """The standardisation of some of the features."""
        return Scaling(self.mean[columns], self.scale[columns])


def scaling(x: Tensor, device: torch.device | None = None) -> Scaling:
    """The standardisation of training features (N, D).

    A feature counts as constant if its deviation is at most 1e-5 of its mean, or 1e-6 of the largest deviation of all
    features: what varies there is rounding, which must not be amplified.

    Args:
        x: (N, D).
        device: of the computation and the result; by default that of ``x``.
    """
    mean, squares = torch.zeros(2, x.shape[1], dtype=torch.float64, device=device or x.device)
    for rows in blocks(*x.shape):
        mean += x[rows].to(mean.device).double().sum(dim=0) / len(x)
    for rows in blocks(*x.shape):
        squares += x[rows].to(mean.device, torch.float64, copy=True).sub_(mean).square_().sum(dim=0) / len(x)
    deviation = squares.sqrt()
    constant = (deviation <= 1e-5 * mean.abs()) | (deviation <= 1e-6 * deviation.max())
    return Scaling(mean, torch.where(constant, 0.0, 1 / deviation.masked_fill(constant, 1.0)))


def unit_streams(x: Tensor, num_streams: int) -> Tensor:
    """Features (N, D) whose equal parts, one per stream, are scaled to unit length."""
    return F.normalize(x.unflatten(1, (num_streams, -1)), dim=2).flatten(1)


def by_blocks(change: Callable[[Tensor], Tensor], x: Tensor, device: torch.device) -> Tensor:
    """``change`` of features (N, D), which works by rows and keeps their shape, on a device.

    It holds the result and one block, so that a large bank is never in memory twice.
    """
    out = torch.empty_like(x, device=device)
    for rows in blocks(*x.shape):
        out[rows] = change(x[rows].to(device))
    return out


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows with at most :data:`BLOCK` values."""
    step = max(1, BLOCK // max(1, columns))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def parts(rows: Tensor, columns: int) -> tuple[Tensor, ...]:
    """Row numbers in parts with at most :data:`BLOCK` values each."""
    return rows.split(max(1, BLOCK // max(1, columns)))
