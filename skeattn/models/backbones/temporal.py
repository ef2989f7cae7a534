"""Temporal convolution in parallel branches, as CTR-GCN and ST-GCN++ have it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skeattn.models.backbones.pointwise import Pointwise


class MultiBranch(nn.Module):
    """Branches over time, put end to end and normalised together.

    Channels are shared out to dilated convolutions, a max pooling over 3 frames and a branch of single frames. Each
    begins with a 1x1 convolution; before all but the single frames go on, a norm and an activation follow.

    Args:
        in_channels, out_channels: widths; a remainder of the division goes to the first branch.
        stride: temporal stride.
        kernel_size: frames a convolution sees.
        dilations: of the convolutions, one branch each.
        norm, act: make a norm of so many channels, and an activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        kernel_size: int,
        dilations: Sequence[int],
        norm: Callable[[int], nn.Module],
        act: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        width = out_channels // (len(dilations) + 2)
        first = out_channels - width * (len(dilations) + 1)
        self.widths = [first, *[width] * len(dilations)]
        self.reduce = nn.Sequential(nn.Conv2d(in_channels, sum(self.widths), 1), norm(sum(self.widths)), act())
        self.convs = nn.ModuleList(
            nn.Conv2d(c, c, (kernel_size, 1), (stride, 1), (kernel_size // 2 * d, 0), (d, 1))
            for c, d in zip(self.widths, dilations, strict=False)
        )
        self.pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.single = Pointwise(in_channels, width, stride)
        self.norm = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, V)`` -> ``(N, C', ceil(T / stride), V)``."""
        *convolved, pooled = self.reduce(x).split(self.widths, dim=1)
        branches = [conv(y) for conv, y in zip(self.convs, convolved, strict=True)]
        return self.norm(torch.cat([*branches, self.pool(pooled), self.single(x)], dim=1))
