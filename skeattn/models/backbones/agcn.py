"""The adaptive graph convolutional network of 2s-AGCN (Shi et al., CVPR 2019)."""

import torch
from torch import Tensor, nn

from skeattn.models.backbones.joints import GraphBackbone
from skeattn.models.dropout import Dropout
from skeattn.registry import BACKBONES


class AdaptiveGraphConv(nn.Module):
    """``sum_k W_k x (A_k + B_k + C_k)`` (eq. 3), where C_k says how alike two joints of a clip are (eq. 4).

    Args:
        in_channels, out_channels: widths; the joints are compared in a quarter of ``out_channels``.
        subsets: K.
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: int) -> None:
        super().__init__()
        self.subsets = subsets
        # The paper has theta and phi start at zero, where neither has a gradient, so they would stay there.
        self.embed = nn.Conv2d(in_channels, 2 * subsets * (out_channels // 4), 1)
        self.conv = nn.Conv2d(subsets * in_channels, out_channels, 1)

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        """``x`` ``(N, C, T, V)``, ``A`` (that is A_k + B_k) ``(K, V, V)`` -> ``(N, C', T, V)``."""
        N, C, T, V = x.shape
        neighbours = (A + self.likeness(x)).transpose(1, 2).reshape(N, V, self.subsets * V)
        gathered = (x.reshape(N, C * T, V) @ neighbours).view(N, C, T, self.subsets, V)
        return self.conv(gathered.permute(0, 3, 1, 2, 4).reshape(N, self.subsets * C, T, V))

    def likeness(self, x: Tensor) -> Tensor:
        """C: softmax over source joints v of the mean of theta(x_v) phi(x_w); ``(N, K, V, V)``."""
        theta, phi = self.embed(x).unflatten(1, (2, self.subsets, -1)).flatten(3, 4).unbind(1)  # (N, K, Ce * T, V)
        return (theta.transpose(2, 3) @ phi / theta.shape[2]).softmax(dim=2)


@BACKBONES.register_module()
class AGCN(GraphBackbone):
    """One stream of 2s-AGCN: the skeleton, a graph learnt for all clips and one found in each clip, added up.

    ``edge_importance`` is B, zero before training. Its arguments are those of
    :class:`~skeattn.models.backbones.joints.GraphBackbone`; the dropout lies between the two convolutions.
    """

    def layers(self, in_channels: int, out_channels: int, stride: int, dropout: float) -> tuple[nn.Module, nn.Module]:
        """See :meth:`GraphBackbone.layers`."""
        size = self.kernel_size
        gcn = self.with_shortcut(AdaptiveGraphConv(in_channels, out_channels, len(self.A)), in_channels, out_channels)
        tcn = nn.Sequential(
            Dropout(dropout),
            nn.Conv2d(out_channels, out_channels, (size, 1), (stride, 1), (size // 2, 0)),
            self.norm(out_channels),
        )
        return gcn, tcn

    def untaught(self) -> Tensor:
        """See :meth:`GraphBackbone.untaught`."""
        return torch.zeros_like(self.A)

    def weighted(self, importance: Tensor) -> Tensor:
        """See :meth:`GraphBackbone.weighted`: A_k + B_k."""
        return self.A + importance
