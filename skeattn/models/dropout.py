"""Dropout with faster random numbers on the CPU, and dropout of whole branches."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout


class Dropout(nn.Dropout):
    """``nn.Dropout``; on the CPU each random 64-bit word gives eight entries of the mask.

    PyTorch draws one 32-bit number per entry there, serially: a quarter of a narrow network's training step.
    The rate is rounded to 1/256, and the kept entries are scaled by the rounded rate.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with a share ``p`` of its entries zeroed and the others scaled up, in training; else ``x``."""
        if not self.training or self.p == 0 or x.device.type != 'cpu' or not _dense(x):
            return dropout(x, self.p, self.training)
        threshold = min(round(self.p * 256), 255)
        words = torch.randint(-(2**63), 2**63 - 1, (-(-x.numel() // 8),))
        keep = words.view(torch.uint8)[: x.numel()].ge_(threshold)  # bytes: bool is converted slowly, one by one
        return (x * keep.as_strided(x.shape, x.stride())) * (256 / (256 - threshold))


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., ECCV 2016): a residual branch is left out for a share ``p`` of the rows.

    Args:
        p: the share, in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """``x`` ``(B, ...)`` with a share ``p`` of its rows at zero, the others scaled up, in training; else ``x``."""
        if not self.training or self.p == 0:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.p
        return x * kept.to(x.dtype) / (1 - self.p)


def _dense(x: Tensor) -> bool:
    """Whether the entries fill their memory without gaps or overlaps, in any order."""
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.is_contiguous()
