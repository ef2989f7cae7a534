"""The head of self-distillation: similarities to prototypes."""

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from skeattn.registry import NECKS


@NECKS.register_module()
class PrototypeHead(BaseModule):
    """A perceptron, and the cosines of its output with learnt prototypes (DINO, iBOT, SLiM).

    Args:
        in_channels, hidden_channels, out_channels: widths of the perceptron of three layers, with GELU between them.
        prototypes: number of prototypes.
        init_cfg: mmengine initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 2048,
        out_channels: int = 256,
        prototypes: int = 65536,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_channels = prototypes
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.GELU(),
            nn.Linear(hidden_channels, hidden_channels),
            nn.GELU(),
            nn.Linear(hidden_channels, out_channels),
        )
        # As torch's linear layers start, whatever init_cfg is: only the direction of a prototype counts.
        bound = out_channels**-0.5
        self.prototypes = nn.Parameter(torch.empty(prototypes, out_channels).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Cosines ``(..., prototypes)`` of features ``(..., in_channels)``, in single precision at least."""
        x = self.layers(x)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        # A teacher of temperature 0.04 would turn the rounding of bfloat16 into a tenth of a logit.
        with torch.autocast(x.device.type, enabled=False):
            return linear(normalize(x, dim=-1), normalize(self.prototypes, dim=-1))
