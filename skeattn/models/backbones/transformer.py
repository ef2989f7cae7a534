"""A plain skeleton Transformer: every joint of every few frames is a token."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skeattn.errors import ConfigError
from skeattn.models.backbones.joints import JointBackbone
from skeattn.registry import BACKBONES
from skeattn.skeletons import SkeletonLayout


@BACKBONES.register_module()
class SkeletonTransformer(JointBackbone):
    """Pre-norm Transformer encoder (Vaswani et al. 2017, ViT's order of norms) on joints x patches of frames.

    A token is one joint over ``patch`` frames. A learnt vector encodes the joint, a sinusoid the time. All tokens of
    one person attend to one another. A last patch that is too short is padded with the last frame.

    Args:
        layout, in_channels, init_cfg: see :class:`~skeattn.models.backbones.joints.JointBackbone`.
        out_channels: D, width of the tokens.
        depth: encoder layers.
        num_heads: attention heads per layer; they divide ``out_channels``.
        ratio: width of the feed-forward layers in multiples of ``out_channels``.
        patch: frames per token, the temporal stride.
        dropout: rate in the layers.

    Raises:
        ConfigError: unknown layout; ``out_channels`` is odd or not a multiple of ``num_heads``.
    """

    def __init__(
        self,
        layout: str | SkeletonLayout,
        out_channels: int = 256,
        depth: int = 6,
        num_heads: int = 8,
        ratio: float = 2.0,
        patch: int = 4,
        dropout: float = 0.1,
        in_channels: int = 3,
        init_cfg: Any = None,
    ) -> None:
        if out_channels % num_heads or out_channels % 2:
            raise ConfigError(
                f'model.backbone.num_heads={num_heads} must divide model.backbone.out_channels={out_channels}, '
                f'which must be even'
            )
        super().__init__(layout, in_channels, out_channels, init_cfg)
        self.temporal_stride = patch
        self.embed = nn.Conv2d(in_channels, out_channels, (patch, 1), (patch, 1))
        self.joints = nn.Parameter(torch.empty(out_channels, 1, self.layout.num_joints).normal_(std=0.02))
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    out_channels,
                    num_heads,
                    round(ratio * out_channels),
                    dropout,
                    activation='gelu',
                    batch_first=True,
                    norm_first=True,
                )
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Feature map of clips.

        Args:
            x: ``(N, M, C, T, V)``.

        Returns:
            ``(N, M, D, ceil(T / patch), V)``.

        Raises:
            ConfigError: the backbone was built for different joints or channels.
        """
        N, M, _, T, _ = x.shape
        x = pad(self.normalised(x), (0, 0, 0, -T % self.temporal_stride), mode='replicate')
        x = self.embed(x) + self.joints
        x = x + sinusoid(x.shape[2], self.out_channels, x.device).to(x)[:, :, None]
        tokens = self.norm(self.layers(x.flatten(2).transpose(1, 2)))
        return tokens.transpose(1, 2).view(N, M, *x.shape[1:])


def sinusoid(length: int, channels: int, device: torch.device | None = None) -> Tensor:
    """Positions ``(C, T)``: sines in the first half of the channels, cosines of the same angles in the second half."""
    rates = torch.exp(torch.arange(channels // 2, device=device) * (-2 * math.log(10000) / channels))
    angles = rates[:, None] * torch.arange(length, device=device)
    return torch.cat([angles.sin(), angles.cos()])
