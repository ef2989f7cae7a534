"""SLiM's encoder: a Transformer with a class token and registers, whose positions in time are rotations."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from skeattn.errors import ConfigError
from skeattn.models.backbones.joints import JointBackbone
from skeattn.models.layers import attend
from skeattn.registry import BACKBONES
from skeattn.skeletons import SkeletonLayout

EPS = 1e-6


class ReadPerson(NamedTuple):
    """What the encoder makes of persons.

    Attributes:
        summary: the class token, ``(B, D)``.
        tokens: of each joint of each patch, ``(B, T' V, D)``; joint v of patch t' is token ``t' V + v``.
    """

    summary: Tensor
    tokens: Tensor


@BACKBONES.register_module()
class RotaryTransformer(JointBackbone):
    """Pre-norm Transformer on joints x patches of frames, as in SLiM (NeurIPS 2026) and DINOv2.

    A token is one joint over ``patch`` frames, plus a learnt vector of the joint. Time enters attention alone: queries
    and keys of a token are rotated by its patch number (RoPE, Su et al. 2021), so attention depends on the distance of
    two tokens in time. A class token and registers are read along, without position. A last patch that is too short is
    padded with the last frame. The map consists of the tokens; :meth:`read` also returns the class token.

    Args:
        layout, in_channels, init_cfg, norm_input: see :class:`~skeattn.models.backbones.joints.JointBackbone`.
        out_channels: D, width of the tokens.
        depth: encoder layers.
        num_heads: attention heads per layer; D / heads is even.
        ratio: the feed-forward layers (SwiGLU) have as many weights as those of a perceptron with this ratio: their
            width is 2/3 of ``ratio * D``, rounded up to a multiple of 8.
        patch: frames per token, the temporal stride.
        registers: number of registers.
        base: base of the wave lengths of the rotations.

    Raises:
        ConfigError: unknown layout, or ``out_channels`` is not an even multiple of ``num_heads``.
    """

    def __init__(
        self,
        layout: str | SkeletonLayout,
        out_channels: int = 256,
        depth: int = 8,
        num_heads: int = 8,
        ratio: float = 4.0,
        patch: int = 8,
        registers: int = 4,
        base: float = 10000.0,
        in_channels: int = 3,
        init_cfg: Any = None,
        norm_input: bool = False,
    ) -> None:
        if out_channels % (2 * num_heads):
            raise ConfigError(
                f'model.backbone.out_channels={out_channels} must be an even multiple of '
                f'model.backbone.num_heads={num_heads}: rotations turn pairs of channels'
            )
        super().__init__(layout, in_channels, out_channels, init_cfg, norm_input)
        self.temporal_stride, self.num_heads, self.base = patch, num_heads, base
        self.embed = nn.Conv2d(in_channels, out_channels, (patch, 1), (patch, 1))
        self.joints = nn.Parameter(torch.empty(out_channels, 1, self.layout.num_joints).normal_(std=0.02))
        # The class token, followed by the registers.
        self.prefix = nn.Parameter(torch.empty(1 + registers, out_channels).normal_(std=1e-6))
        self.layers = nn.ModuleList(RotaryBlock(out_channels, num_heads, ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(out_channels, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Feature map of clips.

        Args:
            x: ``(N, M, C, T, V)``.

        Returns:
            ``(N, M, D, ceil(T / patch), V)``.

        Raises:
            ConfigError: the backbone was built for different joints or channels.
        """
        tokens = self.read(x).tokens.transpose(1, 2)
        return tokens.view(*x.shape[:2], self.out_channels, -1, x.shape[4])

    def read(self, x: Tensor, masked: Tensor | None = None, content: Tensor | None = None) -> ReadPerson:
        """Class token and tokens of every person after the last norm.

        Args:
            x: ``(N, M, C, T, V)``.
            masked: tokens whose content is replaced, bool ``(N * M, T' V)``.
            content: what it is replaced by, ``(1, D)``.
        """
        tokens = self.tokens(x, masked, content)
        count, joints = len(self.prefix), x.shape[4]
        states = torch.cat([self.prefix.to(tokens.dtype).expand(len(tokens), -1, -1), tokens], dim=1)
        time = torch.arange(
            tokens.shape[1] // joints, device=x.device, dtype=torch.promote_types(x.dtype, torch.float32)
        )
        turn = rotations(time, self.out_channels // self.num_heads, self.base)
        # The angle of class token and registers is 0: they are not rotated.
        turn = pad(turn.repeat_interleave(joints, dim=0), (0, 0, count, 0))
        cos, sin = turn.cos(), turn.sin()
        for layer in self.layers:
            states = layer(states, cos, sin)
        states = self.norm(states)
        return ReadPerson(states[:, 0], states[:, count:])

    def tokens(self, x: Tensor, masked: Tensor | None = None, content: Tensor | None = None) -> Tensor:
        """Embedding of every joint of every patch, plus the vector of the joint, ``(N * M, T' V, D)``; see `read`."""
        x = pad(self.normalised(x), (0, 0, 0, -x.shape[3] % self.temporal_stride), mode='replicate')
        x = self.embed(x)
        if masked is not None and content is not None:
            place = masked.view(len(x), 1, *x.shape[2:])
            x = torch.where(place, content.to(x.dtype)[:, :, None, None], x)
        return (x + self.joints.to(x.dtype)).flatten(2).transpose(1, 2)

    def layer_of(self, name: str) -> int:
        """The layer of a parameter: 0 for embeddings and prefix, i + 1 for block i, depth + 1 for the last norm."""
        part, *rest = name.split('.')
        if part == 'layers':
            return int(rest[0]) + 1
        return len(self.layers) + 1 if part == 'norm' else 0


class RotaryBlock(nn.Module):
    """Attention with rotated queries and keys, and a gated feed-forward layer (SwiGLU), each after a norm.

    Args:
        channels, num_heads, ratio: see :class:`RotaryTransformer`.
    """

    def __init__(self, channels: int, num_heads: int, ratio: float) -> None:
        super().__init__()
        hidden = -(-int(ratio * channels * 2 / 3) // 8) * 8
        self.num_heads = num_heads
        self.norm1, self.norm2 = nn.LayerNorm(channels, eps=EPS), nn.LayerNorm(channels, eps=EPS)
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.gate, self.out = nn.Linear(channels, 2 * hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Tokens ``(B, L, D)``; cosines and sines of their rotations ``(L, D / heads)``."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = (rotated(part, cos, sin) for part in (q, k))
        x = x + self.proj(attend(q, k, v).transpose(1, 2).flatten(2))
        gate, value = self.gate(self.norm2(x)).chunk(2, dim=2)
        return x + self.out(silu(gate) * value)


def rotations(time: Tensor, channels: int, base: float) -> Tensor:
    """Angles at times ``(T',)``, of channel pair i ``t * base ** (-2 i / channels)``, for both of the pair.

    Returns:
        ``(T', channels)``, two equal halves.
    """
    rates = base ** (torch.arange(0, channels, 2, device=time.device, dtype=time.dtype) / -channels)
    return (time[:, None] * rates).repeat(1, 2)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Channel i of the first half and of the second half, ``(..., D)``, turned by one angle as a pair."""
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)
