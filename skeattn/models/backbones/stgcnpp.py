"""ST-GCN++ (Duan et al., PYSKL, ACM Multimedia 2022)."""

from typing import Any

from torch import nn

from skeattn.models.backbones.joints import GraphBackbone
from skeattn.models.backbones.stgcn import GraphConv
from skeattn.models.backbones.temporal import MultiBranch
from skeattn.models.dropout import Dropout
from skeattn.registry import BACKBONES
from skeattn.skeletons import SkeletonLayout


@BACKBONES.register_module()
class STGCNPP(GraphBackbone):
    """ST-GCN++: a learnt graph that starts from the skeleton, a shortcut around its convolution, six temporal branches.

    Args:
        layout, kwargs: see :class:`~skeattn.models.backbones.joints.GraphBackbone`.
        dropout, kernel_size: as there; by default none and 3 frames, as published.
    """

    def __init__(self, layout: str | SkeletonLayout, dropout: float = 0.0, kernel_size: int = 3, **kwargs: Any) -> None:
        super().__init__(layout, dropout=dropout, kernel_size=kernel_size, **kwargs)

    def layers(self, in_channels: int, out_channels: int, stride: int, dropout: float) -> tuple[nn.Module, nn.Module]:
        """See :meth:`GraphBackbone.layers`."""
        gcn = self.with_shortcut(GraphConv(in_channels, out_channels, len(self.A)), in_channels, out_channels)
        tcn = nn.Sequential(
            MultiBranch(out_channels, out_channels, stride, self.kernel_size, (1, 2, 3, 4), self.norm, self.act),
            self.act(),
            nn.Conv2d(out_channels, out_channels, 1),
            self.norm(out_channels),
            Dropout(dropout),
        )
        return gcn, tcn
