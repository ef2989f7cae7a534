"""Temporal convolution in parallel branches, as in CTR-GCN and ST-GCN++."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skeattn.models.backbones.pointwise import Pointwise


class MultiBranch(nn.Module):
    """Temporal branches, concatenated and normalised together.

    The channels are divided among dilated convolutions, a max pooling over 3 frames and a branch of single frames. Each
    branch begins with a 1x1 convolution, followed by a norm and an activation in all but the branch of single frames.

    Args:
        in_channels, out_channels: widths; a remainder of the division goes to the first branch.
        stride: temporal stride.
        kernel_size: length of the convolutions in frames.
        dilations: dilations of the convolutions, one branch each.
        norm, act: functions that build a norm for a number of channels, and an activation.
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
