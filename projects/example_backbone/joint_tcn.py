"""A temporal convolution network that mixes all joints by a learned matrix."""

import torch
from torch import Tensor, nn

from skeattn.registry import BACKBONES
from skeattn.skeletons import get_layout


@BACKBONES.register_module()
class JointTCN(nn.Module):
    """Blocks that mix joints by a learned ``V x V`` matrix and frames by a convolution; no skeleton graph is given.

    Args:
        layout: skeleton layout; it comes from the top of the config, like ``in_channels``.
        in_channels: values of a joint.
        widths: channels of each block; every block after the first halves the frames.
        kernel_size: frames that a convolution sees, odd.
    """

    def __init__(
        self, layout: str, in_channels: int = 3, widths: tuple[int, ...] = (16, 32, 64), kernel_size: int = 5
    ) -> None:
        super().__init__()
        V = get_layout(layout).num_joints
        self.out_channels = widths[-1]
        self.temporal_stride = 2 ** (len(widths) - 1)  # the map has one row per so many frames
        self.norm = nn.BatchNorm1d(in_channels * V)
        self.blocks = nn.ModuleList()
        for i, width in enumerate(widths):
            self.blocks.append(Block(in_channels, width, V, kernel_size, stride=2 if i else 1))
            in_channels = width

    def forward(self, x: Tensor) -> Tensor:
        """Clips ``(N, M, C, T, V)`` -> map ``(N, M, C', ceil(T / temporal_stride), V)``."""
        N, M, C, T, V = x.shape
        x = x.flatten(0, 1)
        x = self.norm(x.transpose(2, 3).reshape(N * M, C * V, T)).view(N * M, C, V, T).transpose(2, 3)
        for block in self.blocks:
            x = block(x)
        return x.unflatten(0, (N, M))


class Block(nn.Module):
    """Joints, then frames, beside a residual connection."""

    def __init__(self, in_channels: int, out_channels: int, joints: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.joints = nn.Parameter(torch.eye(joints))
        self.frames = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, (kernel_size, 1), (stride, 1), (kernel_size // 2, 0), bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.residual = nn.Conv2d(in_channels, out_channels, 1, (stride, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, V)`` -> ``(N, C', ceil(T / stride), V)``."""
        return torch.relu(self.frames(x @ self.joints) + self.residual(x))
