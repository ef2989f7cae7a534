"""Barlow Twins (Zbontar et al., ICML 2021): two views agree in every feature, and features do not repeat each other."""

import torch
from torch import Tensor

from skeattn.models.processes import mean_over_processes


def cross_correlation(z_a: Tensor, z_b: Tensor) -> Tensor:
    """``z_a^T z_b / N`` over the global batch, ``(D, D)``, in single precision at least.

    Args:
        z_a, z_b: this process's embeddings of two views of the same clips, ``(N, D)``, each column standardised.
    """
    dtype = torch.promote_types(z_a.dtype, torch.float32)
    with torch.autocast(z_a.device.type, enabled=False):
        return mean_over_processes(z_a.to(dtype).T @ z_b.to(dtype) / len(z_a))


def barlow_twins(z_a: Tensor, z_b: Tensor, redundancy_weight: float) -> Tensor:
    """``sum_i (C_ii - 1)^2 + lambda sum_(i != j) C_ij^2``, where C is the :func:`cross_correlation`.

    C is not symmetric: both of its halves count. On several processes the loss is that of the global batch.

    Args:
        z_a, z_b: see :func:`cross_correlation`.
        redundancy_weight: lambda.
    """
    C = cross_correlation(z_a, z_b)
    D = len(C)
    off_diagonal = C.flatten()[:-1].view(D - 1, D + 1)[:, 1:]  # a view: C is large
    return (C.diagonal() - 1).square().sum() + redundancy_weight * off_diagonal.square().sum()
