"""CTR-GCN (Chen et al., ICCV 2021): every channel refines the topology that all channels share."""

from typing import Any

import torch
from torch import Tensor, nn

from skeattn.models.backbones.joints import GraphBackbone
from skeattn.models.backbones.temporal import MultiBranch
from skeattn.models.dropout import Dropout
from skeattn.registry import BACKBONES
from skeattn.skeletons import SkeletonLayout


class ChannelwiseGraphConv(nn.Module):
    """Channel-wise topology refinement: ``sum_k (W_k x) R_k``, with a separate topology per channel.

    ``R_k[v, w] = A_k[v, w] + alpha * xi_k(tanh(psi_k(x_w) - phi_k(x_v)))`` (eq. 4 and 5) from source v to target w,
    computed from the mean over time.

    Args:
        in_channels, out_channels: widths.
        subsets: K.
        reduction: r; joints are compared in ``in_channels / r`` channels, at least 8.
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: int, reduction: int = 8) -> None:
        super().__init__()
        self.subsets = subsets
        width = subsets * max(in_channels // reduction, 8)
        self.compare = nn.Conv2d(in_channels, 2 * width, 1)
        self.xi = nn.Conv2d(width, subsets * out_channels, 1, groups=subsets)
        self.conv = nn.Conv2d(in_channels, subsets * out_channels, 1)
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        """``x`` ``(N, C, T, V)``, ``A`` ``(K, V, V)`` -> ``(N, C', T, V)``."""
        maps = self.conv(x).unflatten(1, (self.subsets, -1))
        return torch.einsum('nkctv,nkcvw->nctw', maps, self.topology(x, A))

    def topology(self, x: Tensor, A: Tensor) -> Tensor:
        """R, ``(N, K, C', V, V)``."""
        psi, phi = self.compare(x.mean(dim=2, keepdim=True)).chunk(2, dim=1)  # (N, K * C / r, 1, V)
        refinement = self.xi(torch.tanh(psi - phi.transpose(2, 3)))
        return A[:, None] + self.alpha * refinement.unflatten(1, (self.subsets, -1))


@BACKBONES.register_module()
class CTRGCN(GraphBackbone):
    """CTR-GCN: a learnt topology that starts from the graph; four temporal branches.

    Args:
        layout, kwargs: see :class:`~skeattn.models.backbones.joints.GraphBackbone`.
        dropout, kernel_size: as there; by default none and 5 frames, as published.
    """

    def __init__(self, layout: str | SkeletonLayout, dropout: float = 0.0, kernel_size: int = 5, **kwargs: Any) -> None:
        super().__init__(layout, dropout=dropout, kernel_size=kernel_size, **kwargs)

    def layers(self, in_channels: int, out_channels: int, stride: int, dropout: float) -> tuple[nn.Module, nn.Module]:
        """See :meth:`GraphBackbone.layers`."""
        conv = ChannelwiseGraphConv(in_channels, out_channels, len(self.A))
        branches = MultiBranch(out_channels, out_channels, stride, self.kernel_size, (1, 2), self.norm, self.act)
        return self.with_shortcut(conv, in_channels, out_channels), nn.Sequential(branches, Dropout(dropout))
