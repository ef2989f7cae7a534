"""BIGRU: SkeAttnCLR's recurrent encoder, which reads the joints of all persons in a frame as one vector."""

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.registry import BACKBONES
from skeattn.skeletons import SkeletonLayout, get_layout


@BACKBONES.register_module()
class BIGRU(BaseModule):
    """BN over all values of a frame, then layers of two GRUs; the next layer reads their concatenated outputs.

    The release (Hua et al., IJCAI 2023, after Predict & Cluster) calls a bidirectional GRU frame by frame and passes on
    the hidden state of both directions, so that the "backward" one also reads forwards. Two parallel GRUs over the
    whole clip give the same numbers without the loop.

    Args:
        layout: the skeleton layout, or its name.
        hidden_channels: channels of each GRU; the map has twice as many.
        num_layers: number of layers of two GRUs.
        bidirectional: ``'released'``: both GRUs of a layer read forwards. ``'true'``: the second one reads backwards.
        num_persons: M, persons per clip; absent ones are zeros.
        in_channels: values per joint.
        init_cfg: mmengine initialisation. GRU matrices are initialised Xavier uniform, as released.

    Raises:
        ConfigError: unknown layout or ``bidirectional``.
    """

    temporal_stride = 1

    def __init__(
        self,
        layout: str | SkeletonLayout,
        hidden_channels: int = 1024,
        num_layers: int = 3,
        bidirectional: str = 'released',
        num_persons: int = 2,
        in_channels: int = 3,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if bidirectional not in ('released', 'true'):
            raise ConfigError(f'model.backbone.bidirectional={bidirectional!r}; choose "released" or "true"')
        self.backwards = bidirectional == 'true'
        self.layout, self.num_persons, self.in_channels = get_layout(layout), num_persons, in_channels
        self.out_channels = 2 * hidden_channels
        width = self.layout.num_joints * in_channels * num_persons
        self.data_bn = nn.BatchNorm1d(width)
        self.layers: Any = nn.ModuleList()
        for _ in range(num_layers):
            pair = [nn.GRU(width, hidden_channels, batch_first=True) for _ in range(2)]
            self.layers.append(nn.ModuleList(pair))
            width = self.out_channels
        for p in self.layers.parameters():
            if p.ndim == 2:
                nn.init.xavier_uniform_(p)

    def forward(self, x: Tensor) -> Tensor:
        """Feature map of clips: ``(N, M, C, T, V)`` -> ``(N, 1, 2 * hidden_channels, T, 1)``.

        Raises:
            ConfigError: the backbone was built for different persons, channels or joints.
        """
        M, C, _, V = x.shape[1:]
        expected = (self.num_persons, self.in_channels, self.layout.num_joints)
        if expected != (M, C, V):
            raise ConfigError(
                f'backbone BIGRU was built for {expected[0]} persons, {expected[1]} channels and layout '
                f'{self.layout.name!r} ({expected[2]} joints), but the clips have {M} persons, {C} channels and {V} '
                f'joints; num_persons of PackClip in the pipeline sets the persons'
            )
        x = self.data_bn(x.permute(0, 4, 2, 1, 3).flatten(1, 3)).transpose(1, 2)  # features in the order V, C, M
        for first, second in self.layers:
            x = torch.cat([first(x)[0], self._in_order(second(self._in_order(x))[0])], dim=2)
        return x.transpose(1, 2)[:, None, :, :, None]

    def _in_order(self, x: Tensor) -> Tensor:
        """Frames in the reading order of the second GRU, and back."""
        return x.flip(1) if self.backwards else x
