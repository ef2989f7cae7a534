"""AimCLR's energy-based attention-guided drop module: hide the features that the network relies on most."""

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor

from skeattn.registry import NECKS


@NECKS.register_module()
class AttentionDrop(BaseModule):
    """EADM (Guo et al., AAAI 2022, section 3.3): zero the most attended joints, then the most attended elements.

    It has no parameters. The attention is the inverse energy of a neuron (Yang et al., ICML 2021),
    ``a = sigmoid((x - mu)^2 / (4 (sigma^2 + lambda)) + 1/2)`` with mean and variance over a channel's positions, so
    ``a >= 0.62``. No gradient passes through it.

    Args:
        threshold: joints whose mean attention reaches it are dropped, then single elements.
        e_lambda: lambda.
    """

    def __init__(self, threshold: float = 0.7, e_lambda: float = 1e-4, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.threshold, self.e_lambda = threshold, e_lambda

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Feature map ``(..., C, T', V')`` with its most attended parts at zero.

        The kept elements are scaled up by all / kept, counted over the whole batch as in the release. A map without
        joint axis (V' = 1) has no joints to drop, so single elements alone are dropped.

        Args:
            x: the map.
            present: bool ``(...)``, the rows that count; by default all of them. Rows of absent persons hold no
                features, and would be counted as kept.
        """
        attention = self.attention(x)
        if x.shape[-1] == 1:
            return self._drop(x, attention, present)
        joints = attention.mean(dim=(-3, -2), keepdim=True)
        return self._drop(self._drop(x, joints, present), attention, present)

    @torch.no_grad()
    def attention(self, x: Tensor) -> Tensor:
        """a, element by element; shape of x, in single precision at least."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(x, dim=(-2, -1), keepdim=True)
        energy = (x - mean).square()
        return (energy / (4 * (variance + self.e_lambda)) + 0.5).sigmoid()

    def _drop(self, x: Tensor, attention: Tensor, present: Tensor | None) -> Tensor:
        keep = attention < self.threshold
        if present is None:
            kept, count = keep.sum(), torch.full((), keep.numel(), device=x.device)
        else:
            kept = (keep & present[..., None, None, None]).sum()
            count = present.sum() * (keep.numel() // present.numel())
        # As bytes: on the CPU bool is converted to bfloat16 slowly, one by one.
        return x * keep.view(torch.uint8) * (count / kept.clamp(min=1))
