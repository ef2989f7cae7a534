"""The classifier with a hidden layer of MAMP's fine-tuning."""

import torch
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.encoder import FeatureMap
from skeattn.models.readout import READOUTS, check_readout
from skeattn.registry import HEADS


@HEADS.register_module()
class MLPHead(nn.Module):
    """Dropout on the map, a readout, then Linear, BatchNorm, ReLU, Linear (Mao et al., ICCV 2023).

    Args:
        in_channels: C', channels of the map.
        num_joints: V', its joints.
        num_classes: number of classes.
        hidden_channels: width of the hidden layer.
        dropout: rate for the values of the map.
        readout: of the map, see :mod:`skeattn.models.readout`; ``'joints'`` in MAMP.

    Raises:
        ConfigError: an unknown readout.
    """

    reads_map = True

    def __init__(
        self,
        in_channels: int,
        num_joints: int,
        num_classes: int,
        hidden_channels: int = 2048,
        dropout: float = 0.3,
        readout: str = 'joints',
    ) -> None:
        super().__init__()
        self.num_joints, self.readout = num_joints, READOUTS[check_readout(readout)]
        zeros = FeatureMap(torch.zeros(1, 1, in_channels, 1, num_joints), torch.ones(1, 1))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            nn.Linear(self.readout(zeros).shape[1], hidden_channels),
            nn.BatchNorm1d(hidden_channels),
            nn.ReLU(),
            nn.Linear(hidden_channels, num_classes),
        )

    def forward(self, F: FeatureMap) -> Tensor:
        """Logits ``(N, num_classes)`` of a map ``(N, M', C', T', V')``.

        Raises:
            ConfigError: the map has another number of joints.
        """
        if F.values.shape[4] != self.num_joints:
            raise ConfigError(
                f"MLPHead reads {self.num_joints} joints, but the backbone's map has V' = {F.values.shape[4]}; use "
                f'head=dict(type="LinearHead") with this backbone'
            )
        return self.layers(self.readout(F.with_values(self.dropout(F.values))))
