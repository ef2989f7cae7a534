"""DSTA (Shi et al., ACCV 2020): attention between the joints of a person, then between the frames."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from skeattn.errors import ConfigError
from skeattn.models.dropout import Dropout
from skeattn.registry import BACKBONES
from skeattn.skeletons import SkeletonLayout, get_layout


def position_encoding(channels: int, length: int, like: Tensor) -> Tensor:
    """Sine and cosine of the position at ``channels / 2`` frequencies, ``(channels, length)``; for any length.

    Channel c (even) is ``sin(p * 10000^(-c / channels))``, channel c + 1 the cosine of the same angle.
    """
    position = torch.arange(length, dtype=like.dtype, device=like.device)
    even = torch.arange(0, channels, 2, dtype=like.dtype, device=like.device)
    angle = position * 10000 ** (-even[:, None] / channels)
    return torch.stack([angle.sin(), angle.cos()], dim=1).flatten(0, 1)[:channels]


def conv_bn(in_channels: int, out_channels: int, stride: int = 1, size: int = 1) -> nn.Sequential:
    """A convolution over frames, followed by BN."""
    conv = nn.Conv2d(in_channels, out_channels, (size, 1), (stride, 1), (size // 2, 0))
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def activate(x: Tensor) -> Tensor:
    """LeakyReLU with slope 0.1, DSTA's activation."""
    return leaky_relu(x, 0.1)


class AxisAttention(nn.Module):
    """Attention between the joints of a frame or the frames of a joint, and a feed-forward layer, with shortcuts.

    ``A = alpha tanh(q k / (inner_channels L)) + G`` without softmax, L the length of the other axis; q and k include
    a position encoding. Maps are channels last in memory, the fastest format for 1x1 convolutions on the CPU.

    Args:
        axis: ``'joints'`` or ``'frames'``.
        in_channels, out_channels: widths.
        inner_channels: channels of q and k per head.
        num_heads: S.
        stride: temporal stride of the feed-forward layer.
        shortcut: whether shortcuts are convolutions; otherwise they are identities.
        learnt: initial value of G ``(P, P)``, which every head learns; None for no G.
        dropout: dropout rate of the feed-forward branch.
        positions: P, joints or most frames. A sum over them without softmax grows with P where tanh saturates, which
            makes the next layer saturate. In evaluation, BN divides by running statistics: their variance starts at
            P^1.5, between that of P independent terms (P) and of P equal ones (P^2). Training does not read it.
    """

    def __init__(
        self,
        axis: str,
        in_channels: int,
        out_channels: int,
        inner_channels: int,
        num_heads: int,
        stride: int,
        shortcut: bool,
        learnt: Tensor | None,
        dropout: float,
        positions: int,
    ) -> None:
        super().__init__()
        self.axis, self.num_heads, self.stride = axis, num_heads, stride
        self.qk = nn.Conv2d(in_channels, 2 * num_heads * inner_channels, 1)
        self.alpha = nn.Parameter(torch.ones(1, num_heads, 1, 1))
        self.learnt = None if learnt is None else nn.Parameter(learnt.repeat(1, num_heads, 1, 1))
        self.out = conv_bn(num_heads * in_channels, out_channels)
        self.out[1].running_var.fill_(positions**1.5)  # type: ignore[operator, union-attr]
        self.feed = conv_bn(out_channels, out_channels)
        self.dropout = Dropout(dropout)
        self.past_out = conv_bn(in_channels, out_channels) if shortcut else nn.Identity()
        self.past_feed = conv_bn(in_channels, out_channels) if shortcut else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, V)`` -> ``(N, C', ceil(T / stride), V)``, both channels last in memory."""
        y = activate(self.out(self.gather(x, self.attention(x))) + self.past_out(x))
        # Frames are skipped beforehand: PyTorch's strided 1x1 convolution of 8 channels corrupts memory on the CPU.
        y, x = y[:, :, :: self.stride], x[:, :, :: self.stride]
        return activate(self.dropout(self.feed(y)) + self.past_feed(x))

    def attention(self, x: Tensor) -> Tensor:
        """A, from each position (rows) to each (columns), ``(N, S, P, P)``.

        Raises:
            ConfigError: more frames than G has.
        """
        P = x.shape[3 if self.axis == 'joints' else 2]
        encoding = position_encoding(x.shape[1], P, x)
        encoding = encoding[:, None] if self.axis == 'joints' else encoding[:, :, None]
        qk = self.qk(x + encoding).permute(0, 2, 3, 1).unflatten(3, (2, self.num_heads, -1))  # (N, T, V, 2, S, C')
        order = (3, 0, 4, 2, 1, 5) if self.axis == 'joints' else (3, 0, 4, 1, 2, 5)
        q, k = qk.permute(order).flatten(4)
        A = torch.tanh(q @ k.transpose(2, 3) / q.shape[3]) * self.alpha
        if self.learnt is None:
            return A
        if self.learnt.shape[3] < P:
            raise ConfigError(
                f'backbone DSTA learns its attention over {self.learnt.shape[3]} frames (glo_reg_t), but its maps have '
                f'{P}; set model.backbone.num_frames to the number of frames per clip'
            )
        return A + self.learnt[..., :P, :P]

    def gather(self, x: Tensor, A: Tensor) -> Tensor:
        """``sum_u x[u] A[s, u, p]`` for every head s, heads concatenated: ``(N, S * C, T, V)``."""
        rows = x.permute(0, 2, 3, 1)  # (N, T, V, C), as in memory
        T, V, _ = rows.shape[1:]
        weights = A.permute(0, 3, 1, 2).flatten(1, 2)  # (N, P * S, P)
        if self.axis == 'joints':
            heads = weights[:, None] @ rows
        else:
            heads = (weights @ rows.flatten(2)).view(-1, T, self.num_heads, V, rows.shape[3]).transpose(2, 3)
        return heads.reshape(-1, T, V, self.num_heads * rows.shape[3]).permute(0, 3, 1, 2)


class FrameConv(nn.Module):
    """A convolution and a shortcut, which DSTA's NTU configs use in place of attention between frames."""

    def __init__(self, channels: int, stride: int, shortcut: bool, dropout: float, size: int = 7) -> None:
        super().__init__()
        self.stride = stride
        self.conv = conv_bn(channels, channels, stride, size)
        self.dropout = Dropout(dropout)
        self.past_conv = conv_bn(channels, channels) if shortcut else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, T, V)`` -> ``(N, C, ceil(T / stride), V)``."""
        return activate(self.dropout(self.conv(x)) + self.past_conv(x[:, :, :: self.stride]))


@BACKBONES.register_module()
class DSTA(BaseModule):
    """Blocks of attention between joints and attention, or a convolution, between frames.

    Position encodings are computed for any length and skeleton.

    Args:
        layout: the skeleton layout, or its name.
        widths: channels after each block; the first is also the embedding's.
        inner_widths: channels of q and k per head, for each block.
        strides: temporal stride of each block.
        num_heads: S.
        use_temporal_att: attention between frames, as in SkeAttnCLR's encoder; otherwise a 7x1 convolution, as in
            DSTA's and HiCLR's NTU configs.
        glo_reg_t: add a learnt matrix to the attention between frames as well.
        num_frames: T, the longest clip that this matrix covers.
        dropout: dropout rate of each block's temporal branch, as in HiCLR's port (0.5 there).
        in_channels: values per joint.
        init_cfg: mmengine initialisation.

    Raises:
        ConfigError: unknown layout, or lists of different lengths.
    """

    def __init__(
        self,
        layout: str | SkeletonLayout,
        widths: Sequence[int] = (64, 64, 128, 128, 256, 256, 256, 256),
        inner_widths: Sequence[int] = (16, 16, 32, 32, 64, 64, 64, 64),
        strides: Sequence[int] = (1, 1, 2, 1, 2, 1, 1, 1),
        num_heads: int = 3,
        use_temporal_att: bool = True,
        glo_reg_t: bool = False,
        num_frames: int = 64,
        dropout: float = 0.0,
        in_channels: int = 3,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if not len(widths) == len(inner_widths) == len(strides) > 0:
            raise ConfigError(
                f'model.backbone of type DSTA has {len(widths)} widths, {len(inner_widths)} inner_widths and '
                f'{len(strides)} strides; give one of each per block'
            )
        self.layout, self.in_channels, self.out_channels = get_layout(layout), in_channels, widths[-1]
        self.embed = conv_bn(in_channels, widths[0])
        self.blocks = nn.Sequential()
        self.temporal_stride, V, before = 1, self.layout.num_joints, widths[0]
        for width, inner, stride in zip(widths, inner_widths, strides, strict=True):
            shortcut = width != before or stride != 1
            G = torch.full((V, V), 1 / V)
            joints = AxisAttention('joints', before, width, inner, num_heads, 1, shortcut, G, 0.0, V)
            frames: nn.Module
            if use_temporal_att:
                P = -(-num_frames // self.temporal_stride)
                G_t = torch.eye(P) if glo_reg_t else None
                frames = AxisAttention('frames', width, width, inner, num_heads, stride, shortcut, G_t, dropout, P)
            else:
                frames = FrameConv(width, stride, shortcut, dropout)
            self.blocks.append(nn.Sequential(OrderedDict(joints=joints, frames=frames)))
            self.temporal_stride, before = self.temporal_stride * stride, width

    def forward(self, x: Tensor) -> Tensor:
        """Feature map of clips: ``(N, M, C, T, V)`` -> ``(N, M, D, ceil(T / temporal_stride), V)``.

        Raises:
            ConfigError: the backbone was built for different channels or joints.
        """
        N, M, C, _, V = x.shape
        if (self.in_channels, self.layout.num_joints) != (C, V):
            raise ConfigError(
                f'backbone DSTA was built for {self.in_channels} channels and layout {self.layout.name!r} '
                f'({self.layout.num_joints} joints), but the clips have {C} channels and {V} joints'
            )
        x = activate(self.embed(x.flatten(0, 1).contiguous(memory_format=torch.channels_last)))
        return self.blocks(x).unflatten(0, (N, M))
