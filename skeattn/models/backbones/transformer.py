"""A plain skeleton Transformer: every joint of every few frames is a token."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skeattn.errors import ConfigError
from skeattn.models.backbones.joints import JointBackbone
from skeattn.models.dropout import DropPath
from skeattn.registry import BACKBONES
from skeattn.skeletons import SkeletonLayout


@BACKBONES.register_module()
class SkeletonTransformer(JointBackbone):
    """Pre-norm Transformer encoder (Vaswani et al. 2017, ViT's order of norms) on joints x patches of frames.

    A token is one joint over ``patch`` frames. A learnt vector encodes the joint, another or a sinusoid the time. All
    tokens of one person attend to one another. A last patch that is too short is padded with the last frame.

    With a list of layouts, joints are known by the words of their names
    (:class:`~skeattn.models.joint_names.JointNames`) and not by their numbers: the encoder reads clips of any layout
    with these words, which :func:`~skeattn.models.joint_names.read_layout` chooses.

    ``forward`` is :meth:`tokens`, then :meth:`encode`, which also takes any subset of the tokens.

    Args:
        layout, in_channels, init_cfg, norm_input: see :class:`~skeattn.models.backbones.joints.JointBackbone`.
        out_channels: D, width of the tokens.
        depth: encoder layers.
        num_heads: attention heads per layer; they divide ``out_channels``.
        ratio: width of the feed-forward layers in multiples of ``out_channels``.
        patch: frames per token, the temporal stride.
        dropout: rate in the layers.
        drop_path: rate at which the last layer's two residual branches are left out for a person; it grows linearly
            from 0 at the first layer, as in timm and MAMP.
        layer_scale: first value of the factors of each residual branch's channels (LayerScale, Touvron et al., ICCV
            2021; 1e-4 in Skeleton2vec); None: without factors.
        position: ``'sinusoid'``; ``'learnt'``: a learnt vector per patch of ``num_frames`` frames, of which a shorter
            clip uses the first (MAMP).
        num_frames: frames of the longest clip; only for learnt positions.

    Raises:
        ConfigError: unknown layout or ``position``; ``out_channels`` is odd or not a multiple of ``num_heads``;
            ``drop_path`` outside [0, 1); ``layer_scale`` is 0; learnt positions without ``num_frames``.
    """

    def __init__(
        self,
        layout: str | SkeletonLayout | Sequence[str],
        out_channels: int = 256,
        depth: int = 6,
        num_heads: int = 8,
        ratio: float = 2.0,
        patch: int = 4,
        dropout: float = 0.1,
        in_channels: int = 3,
        init_cfg: Any = None,
        norm_input: bool = True,
        drop_path: float = 0.0,
        position: str = 'sinusoid',
        num_frames: int | None = None,
        layer_scale: float | None = None,
    ) -> None:
        if out_channels % num_heads or out_channels % 2:
            raise ConfigError(
                f'model.backbone.num_heads={num_heads} must divide model.backbone.out_channels={out_channels}, '
                f'which must be even'
            )
        if not 0 <= drop_path < 1:
            raise ConfigError(f'model.backbone.drop_path={drop_path!r} must lie in [0, 1)')
        if layer_scale == 0:
            raise ConfigError('model.backbone.layer_scale=0 would leave the layers without effect; None: no factors')
        if position not in ('sinusoid', 'learnt'):
            raise ConfigError(f'model.backbone.position={position!r}; choose "sinusoid" or "learnt"')
        super().__init__(layout, in_channels, out_channels, init_cfg, norm_input)
        self.temporal_stride, self.num_frames, self.num_heads = patch, num_frames, num_heads
        self.embed = nn.Conv2d(in_channels, out_channels, (patch, 1), (patch, 1))
        self.joints = None if self.names else nn.Parameter(self._new_joints())
        self.times = nn.Parameter(self._new_times(num_frames)) if position == 'learnt' else None
        self.layers = transformer_layers(out_channels, depth, num_heads, ratio, dropout, drop_path, layer_scale)
        self.norm = nn.LayerNorm(out_channels)

    def _new_joints(self) -> Tensor:
        return torch.empty(self.out_channels, 1, self.layout.num_joints).normal_(std=0.02)

    def _new_times(self, num_frames: int | None) -> Tensor:
        if num_frames is None:
            raise ConfigError(
                'model.backbone.position="learnt" needs the frames of the longest clip: set model.backbone.num_frames'
            )
        return torch.empty(self.out_channels, -(-num_frames // self.temporal_stride), 1).normal_(std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Feature map of clips.

        Args:
            x: ``(N, M, C, T, V)``.

        Returns:
            ``(N, M, D, ceil(T / patch), V)``.

        Raises:
            ConfigError: the backbone was built for different joints or channels, or for shorter clips.
        """
        N, M, _, T, V = x.shape
        tokens = self.encode(self.tokens(x)).transpose(1, 2)
        return tokens.view(N, M, self.out_channels, -(-T // self.temporal_stride), V)

    def tokens(self, x: Tensor) -> Tensor:
        """Embedding and position of every joint of every patch.

        Args:
            x: ``(N, M, C, T, V)``.

        Returns:
            ``(N * M, L, D)`` with ``L = T' V``, ``T' = ceil(T / patch)``; joint v of patch t' is token ``t' V + v``.

        Raises:
            ConfigError: as :meth:`forward`.
        """
        T = x.shape[3]
        x = pad(self.normalised(x), (0, 0, 0, -T % self.temporal_stride), mode='replicate')
        x = self.embed(x) + (self.joints if self.names is None else self.names())
        return (x + self._positions(T, x)).flatten(2).transpose(1, 2)

    def _positions(self, T: int, like: Tensor) -> Tensor:
        """Positions in time of the patches of T frames, ``(D, T', 1)``."""
        patches = like.shape[2]
        if self.times is None:
            return sinusoid(patches, self.out_channels, like.device).to(like)[:, :, None]
        if patches > self.times.shape[1]:
            raise ConfigError(
                f'a clip has {T} frames, but model.backbone.num_frames={self.num_frames}: the encoder has learnt no '
                f'positions for more. Raise model.backbone.num_frames, or lower num_frames in dataset.pipeline'
            )
        return self.times[:, :patches]

    def encode(self, tokens: Tensor) -> Tensor:
        """The layers and the last norm, on any tokens of each person: ``(N * M, L', D)`` -> the same shape."""
        return self.norm(self.layers(tokens))

    def layer_of(self, name: str) -> int:
        """The layer of a parameter: 0 for embeddings and positions, i + 1 for block i, depth + 1 for the last norm."""
        part, *rest = name.split('.')
        if part == 'layers':
            return int(rest[0]) + 1
        return len(self.layers) + 1 if part == 'norm' else 0


class LayerScale(nn.Module):
    """Each channel of a residual branch times a learnt factor."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), start))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` ``(..., C)``."""
        return x * self.scale


def transformer_layers(
    channels: int,
    depth: int,
    num_heads: int,
    ratio: float,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    layer_scale: float | None = None,
) -> nn.Sequential:
    """Pre-norm layers with GELU on tokens ``(B, L, channels)``; the arguments are SkeletonTransformer's."""
    layers = nn.Sequential()
    for i in range(depth):
        layer = nn.TransformerEncoderLayer(
            channels, num_heads, round(ratio * channels), dropout, activation='gelu', batch_first=True, norm_first=True
        )
        rate = drop_path * i / max(depth - 1, 1)
        for last in ('dropout1', 'dropout2'):  # the last operations of the two residual branches
            scale = [] if layer_scale is None else [LayerScale(channels, layer_scale)]
            added = [*scale, DropPath(rate)] if rate else scale
            if added:
                setattr(layer, last, nn.Sequential(nn.Dropout(dropout), *added))
        if layer_scale is not None:
            layer.activation_relu_or_gelu = 0  # no fused evaluation, which would leave the factors out
        layers.append(layer)
    return layers


def sinusoid(length: int, channels: int, device: torch.device | None = None) -> Tensor:
    """Positions ``(C, T)``: sines in the first half of the channels, cosines of the same angles in the second half."""
    rates = torch.exp(torch.arange(channels // 2, device=device) * (-2 * math.log(10000) / channels))
    angles = rates[:, None] * torch.arange(length, device=device)
    return torch.cat([angles.sin(), angles.cos()])
