"""Temporal convolution in parallel branches, as CTR-GCN and ST-GCN++ have it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class MultiBranch(nn.Module):
    """Branches over time, put end to end and normalised together.

    Channels are shared out to dilated convolutions, a max pooling over 3 frames and a branch of single frames. A 1x1
    convolution makes the channels of all of them; a norm and an activation follow, but for the single frames.

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
        self.widths = (first, *[width] * (len(dilations) + 1))
        self.stride = stride
        self.reduce = nn.Conv2d(in_channels, out_channels, 1)
        self.inner = nn.Sequential(norm(out_channels - width), act())
        self.convs = nn.ModuleList(
            nn.Conv2d(c, c, (kernel_size, 1), (stride, 1), (kernel_size // 2 * d, 0), (d, 1))
            for c, d in zip(self.widths, dilations, strict=False)
        )
        self.pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.norm = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, V)`` -> ``(N, C', ceil(T / stride), V)``."""
        x = self.reduce(x)
        width = self.widths[-1]
        *convolved, pooled = self.inner(x[:, :-width]).split(self.widths[:-1], dim=1)
        branches = [conv(y) for conv, y in zip(self.convs, convolved, strict=True)]
        return self.norm(torch.cat([*branches, self.pool(pooled), x[:, -width:, :: self.stride]], dim=1))
