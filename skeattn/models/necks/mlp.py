"""The two-layer perceptron used as projector and as predictor."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from skeattn.models.layers import build_norm
from skeattn.registry import NECKS


@NECKS.register_module()
class MLP(BaseModule):
    """Linear, normalisation, ReLU, Linear.

    Args:
        in_channels, hidden_channels, out_channels: the three widths.
        norm_cfg: normalisation of the hidden layer, built by ``mmcv.cnn``; None for none (SkeletonCLR as published).
        bias: whether the two linear layers have biases.
        last_bias: the same for the second one alone; None: as ``bias``.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 256,
        out_channels: int = 128,
        norm_cfg: dict[str, Any] | None = None,
        bias: bool = False,
        last_bias: bool | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        layers: list[nn.Module] = [nn.Linear(in_channels, hidden_channels, bias=bias)]
        if norm_cfg is not None:
            layers.append(build_norm(norm_cfg, hidden_channels))
        last = nn.Linear(hidden_channels, out_channels, bias=bias if last_bias is None else last_bias)
        self.layers = nn.Sequential(*layers, nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels)`` -> ``(N, out_channels)``."""
        return self.layers(x)
