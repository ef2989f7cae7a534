"""The decoder of masked models."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from skeattn.models.backbones.transformer import sinusoid, transformer_layers
from skeattn.models.joint_names import JointNames, Layout
from skeattn.registry import NECKS


@NECKS.register_module()
class TokenDecoder(BaseModule):
    """From the visible tokens to a prediction for each token (He et al., CVPR 2022; MAMP).

    A learnt mask token stands for those that are not visible; positions are the decoder's own.

    Args:
        in_channels: width of the encoder's tokens.
        out_channels: values that are predicted per token.
        num_joints: V; None where joints are known by name.
        layouts: those whose joints are known by name, see :class:`~skeattn.models.joint_names.JointNames`.
        num_patches: T' of the longest clip, for learnt positions in time; None for sinusoids.
        channels: width of the decoder's tokens, by default the encoder's.
        depth, num_heads, ratio: as of :class:`~skeattn.models.backbones.SkeletonTransformer`.
        init_cfg: mmengine initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_joints: int | None,
        num_patches: int | None = None,
        channels: int | None = None,
        depth: int = 3,
        num_heads: int = 8,
        ratio: float = 4.0,
        init_cfg: Any = None,
        layouts: Sequence[Layout] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        width = channels or in_channels
        self.embed = nn.Linear(in_channels, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width).normal_(std=0.02))
        self.names = JointNames(width, layouts) if layouts else None
        joints = None if num_joints is None else torch.empty(width, 1, num_joints).normal_(std=0.02)
        self.joints: Any = None if joints is None else nn.Parameter(joints)
        times = None if num_patches is None else torch.empty(width, num_patches, 1).normal_(std=0.02)
        self.times = None if times is None else nn.Parameter(times)
        self.layers = transformer_layers(width, depth, num_heads, ratio)
        self.norm = nn.LayerNorm(width)
        self.predict = nn.Linear(width, out_channels)

    def forward(self, visible: Tensor, places: Tensor, length: int) -> Tensor:
        """Predictions for all tokens.

        Args:
            visible: tokens of the encoder, ``(B, L', in_channels)``.
            places: their indices, ``(B, L')``.
            length: L, the number of all tokens.

        Returns:
            ``(B, L, out_channels)``.
        """
        visible = self.embed(visible)
        B, _, D = visible.shape
        tokens = self.mask_token.to(visible.dtype).expand(B, length, D)
        tokens = tokens.scatter(1, places[:, :, None].expand(-1, -1, D), visible)
        return self.predict(self.norm(self.layers(tokens + self._positions(length))))

    def _positions(self, length: int) -> Tensor:
        joints: Tensor = self.joints if self.names is None else self.names()
        patches = length // joints.shape[2]
        times = self.times[:, :patches] if self.times is not None else _sinusoid(patches, joints)
        return (joints + times).flatten(1).T


def _sinusoid(patches: int, joints: Tensor) -> Tensor:
    return sinusoid(patches, len(joints), joints.device).to(joints)[:, :, None]
