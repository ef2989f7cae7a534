"""The perceptron used as projector and as predictor."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.layers import build_norm
from skeattn.registry import NECKS


@NECKS.register_module()
class MLP(BaseModule):
    """Linear, normalisation, ReLU, Linear; with more layers the first three of them are repeated.

    Args:
        in_channels, hidden_channels, out_channels: the widths; all hidden layers have the same.
        norm_cfg: normalisation of the hidden layers, built by ``mmcv.cnn``; None for none (SkeletonCLR as published).
        bias: whether the linear layers have biases.
        last_bias: the same for the last one alone; None: as ``bias``.
        num_layers: number of linear layers, at least 2.
        out_norm_cfg: normalisation of the output (Barlow Twins, SimSiam); None for none.

    Raises:
        ConfigError: fewer than two layers.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 256,
        out_channels: int = 128,
        norm_cfg: dict[str, Any] | None = None,
        bias: bool = False,
        num_layers: int = 2,
        out_norm_cfg: dict[str, Any] | None = None,
        last_bias: bool | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_layers < 2:
            raise ConfigError(f'MLP: num_layers={num_layers} must be at least 2')
        self.out_channels = out_channels
        layers: list[nn.Module] = []
        for width in (in_channels, *[hidden_channels] * (num_layers - 2)):
            layers.append(nn.Linear(width, hidden_channels, bias=bias))
            if norm_cfg is not None:
                layers.append(build_norm(norm_cfg, hidden_channels))
            layers.append(nn.ReLU())
        layers.append(nn.Linear(hidden_channels, out_channels, bias=bias if last_bias is None else last_bias))
        if out_norm_cfg is not None:
            layers.append(build_norm(out_norm_cfg, out_channels))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels)`` -> ``(N, out_channels)``."""
        return self.layers(x)
