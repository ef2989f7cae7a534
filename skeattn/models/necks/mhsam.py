"""Multi-head self-attention mask (SkeAttnCLR): which part of a feature map is salient."""

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.layers import attend, build_norm
from skeattn.registry import NECKS

SHARED: dict[str, tuple[int, ...]] = {'channel': (), 'position': (1,), 'joint': (1, 2), 'frame': (1, 3)}
"""Granularity -> axes of a person's map ``(N, C, T', V')`` over which the mask has one value."""


@NECKS.register_module()
class MHSAM(BaseModule):
    """Soft mask ``M_s = sigmoid(lambda * proj(MHSA(LN(F))))``, one value per position and channel.

    Positions (frames x joints of one person) are the tokens; there is no positional encoding and no residual. At
    initialisation every value lies within a few thousandths of 0.5.

    Args:
        channels: C, channels of the map.
        num_heads: h attention heads of C / h channels.
        lam: the paper's lambda, steepness of the sigmoid.
        norm_cfg: normalisation before the attention, built by ``mmcv.cnn``; None for none.
        granularity: one value for every ``'channel'`` of every position (the paper), or for every ``'position'``,
            ``'joint'`` or ``'frame'``. Logits that share a value are averaged before the sigmoid; the parameters are
            the same. All but ``'channel'`` are ours.

    Raises:
        ConfigError: the heads do not divide the channels, or an unknown granularity.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        lam: float = 2.0,
        norm_cfg: dict[str, Any] | None = {'type': 'LN', 'eps': 1e-5},  # noqa: B006
        granularity: str = 'channel',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if channels % num_heads:
            raise ConfigError(f'model.mhsam.num_heads={num_heads} does not divide the {channels} channels of the map')
        if granularity not in SHARED:
            raise ConfigError(f'model.mhsam.granularity={granularity!r}; choose one of {", ".join(SHARED)}')
        self.num_heads, self.lam, self.granularity = num_heads, lam, granularity
        self.norm = build_norm(norm_cfg, channels) if norm_cfg else nn.Identity()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, feature_map: Tensor, present: Tensor | None = None) -> Tensor:
        """The salient mask of a map.

        Args:
            feature_map: F, ``(N, M, C, T', V')``; each person is a separate sequence.
            present: persons to attend to, bool ``(N, M)``; the mask of the others is 0.5. Default: all.

        Returns:
            M_s in (0, 1), same shape. The non-salient mask is ``1 - M_s``.
        """
        if present is None or bool(present.all()):
            return self._mask(feature_map.flatten(0, 1)).view_as(feature_map)
        mask = self._mask(feature_map[present])
        return mask.new_full(feature_map.shape, 0.5).index_put((present,), mask)

    def _mask(self, persons: Tensor) -> Tensor:
        C, T, V = persons.shape[1:]
        tokens = persons.flatten(2).transpose(1, 2)  # (N, n, C)
        qkv = self.qkv(self.norm(tokens)).unflatten(2, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (N, h, n, C/h)
        attended = attend(q, k, v).transpose(1, 2).flatten(2)
        logits = self.proj(attended).transpose(1, 2).unflatten(2, (T, V))
        # bfloat16 has no number between 0.498 and 0.5: the initial mask would be constant under autocast
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if shared := SHARED[self.granularity]:
            logits = logits.mean(dim=shared, keepdim=True)
        return torch.sigmoid(self.lam * logits).expand(-1, C, T, V)
