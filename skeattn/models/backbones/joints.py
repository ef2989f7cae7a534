"""Shared by the backbones on joints: input normalisation and, for graph convolutions, the ten blocks."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.graph import adjacency
from skeattn.models.backbones.pointwise import Pointwise
from skeattn.models.joint_names import JointNames, are_several
from skeattn.models.layers import build_act, build_norm
from skeattn.skeletons import SkeletonLayout, get_layout

# Per block: output width in multiples of the base width (None: out_channels), temporal stride.
_BLOCKS = ((1, 1), (1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (None, 1))


class JointBackbone(BaseModule):
    """Base of the backbones that read clips person by person; BN over the batch for every value of every joint.

    Args:
        layout: the skeleton layout, or its name. A list, where a subclass allows it: joints are known by name, and the
            BN is one for each channel, for all joints.
        in_channels: values per joint.
        out_channels: D, channels of the map.
        init_cfg: mmengine initialisation.
        norm_input: False: without this BN.

    Attributes:
        names: the :class:`~skeattn.models.joint_names.JointNames` of several layouts; None for one.

    Raises:
        ConfigError: unknown layout.
    """

    def __init__(
        self,
        layout: str | SkeletonLayout | Sequence[str],
        in_channels: int = 3,
        out_channels: int = 256,
        init_cfg: Any = None,
        norm_input: bool = True,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.names = JointNames(out_channels, layout) if are_several(layout) else None
        self._layout = get_layout(layout[0] if are_several(layout) else layout)
        joints = 1 if self.names else self._layout.num_joints
        self.data_bn = nn.BatchNorm1d(in_channels * joints) if norm_input else None

    @property
    def layout(self) -> SkeletonLayout:
        """The layout of the clips; where joints are known by name, that of the next ones."""
        return self._layout if self.names is None else self.names.layout

    def normalised(self, x: Tensor) -> Tensor:
        """Clips ``(N, M, C, T, V)`` -> persons ``(N * M, C, T, V)``, normalised by the BN if there is one.

        Raises:
            ConfigError: the backbone was built for different joints or channels.
        """
        N, M, C, T, V = x.shape
        if (self.in_channels, self.layout.num_joints) != (C, V):
            raise ConfigError(
                f'backbone {type(self).__name__} was built for {self.in_channels} channels and layout '
                f'{self.layout.name!r} ({self.layout.num_joints} joints), '
                f'but the clips have {C} channels and {V} joints'
            )
        if self.data_bn is None:
            return x.flatten(0, 1)
        if self.names is not None:
            return self.data_bn(x.flatten(0, 1).flatten(2)).view(N * M, C, T, V)
        x = x.flatten(0, 1).permute(0, 3, 1, 2).reshape(N * M, V * C, T)
        return self.data_bn(x).view(N * M, V, C, T).permute(0, 2, 3, 1)


class GraphBackbone(JointBackbone):
    """Ten blocks ``act(tcn(gcn(x, A)) + shortcut(x))``, temporal stride 4. A subclass defines their :meth:`layers`.

    Args:
        layout: the skeleton layout, or its name.
        base_channels: w; blocks have widths w, 2w, 4w.
        out_channels: D, width of the last block.
        graph: adjacency strategy, ``'agcn'`` or ``'spatial'``.
        dropout: rate in every block but the first.
        in_channels: values per joint.
        kernel_size: length of the temporal convolutions in frames, odd.
        norm_cfg, act_cfg: normalisation and activation, built by ``mmcv.cnn``; by default BN and ReLU.
        init_cfg: mmengine initialisation.

    Attributes:
        edge_importance: the learnt part of each block's graph, ``(K, V, V)``.

    Raises:
        ConfigError: unknown layout or graph strategy.
    """

    temporal_stride = 4

    A: Tensor

    def __init__(
        self,
        layout: str | SkeletonLayout,
        base_channels: int = 64,
        out_channels: int = 256,
        graph: str = 'agcn',
        dropout: float = 0.5,
        in_channels: int = 3,
        kernel_size: int = 9,
        norm_cfg: dict[str, Any] | None = None,
        act_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(get_layout(layout), in_channels, out_channels, init_cfg)
        A = torch.tensor(adjacency(self.layout, graph), dtype=torch.get_default_dtype())
        self.register_buffer('A', A, persistent=False)
        self.kernel_size, self.norm_cfg, self.act_cfg = (
            kernel_size,
            norm_cfg or {'type': 'BN'},
            act_cfg or {'type': 'ReLU'},
        )
        self.blocks = nn.ModuleList()
        width = in_channels
        for i, (multiple, stride) in enumerate(_BLOCKS):
            new = multiple * base_channels if multiple else out_channels
            gcn, tcn = self.layers(width, new, stride, dropout if i else 0.0)
            shortcut = self.shortcut(width, new, stride) if i else None
            self.blocks.append(GraphBlock(gcn, tcn, shortcut, self.act()))
            width = new
        self.edge_importance = nn.ParameterList([nn.Parameter(self.initial_importance()) for _ in _BLOCKS])

    def layers(self, in_channels: int, out_channels: int, stride: int, dropout: float) -> tuple[nn.Module, nn.Module]:
        """A block's graph convolution, called with ``(x, A)``, and its temporal layers."""
        raise NotImplementedError

    def initial_importance(self) -> Tensor:
        """``edge_importance`` before training, ``(K, V, V)``: by default the graph itself."""
        return self.A.clone()

    def adjacency_with(self, importance: Tensor) -> Tensor:
        """The adjacency of a block with this ``edge_importance``: by default it replaces the graph."""
        return importance

    def shortcut(self, in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
        """The identity, or a 1x1 convolution and a norm if width or length change."""
        if in_channels == out_channels and stride == 1:
            return nn.Identity()
        return nn.Sequential(Pointwise(in_channels, out_channels, stride), self.norm(out_channels))

    def with_shortcut(self, conv: nn.Module, in_channels: int, out_channels: int) -> nn.Module:
        """A graph convolution, followed by a norm, with a shortcut and a final activation."""
        shortcut = self.shortcut(in_channels, out_channels)
        return GraphBlock(conv, self.norm(out_channels), shortcut, self.act())

    def norm(self, channels: int) -> nn.Module:
        """A new normalisation layer of ``norm_cfg``."""
        return build_norm(self.norm_cfg, channels)

    def act(self) -> nn.Module:
        """A new activation of ``act_cfg``."""
        return build_act(self.act_cfg)

    def forward(
        self, x: Tensor, edges: Callable[[Tensor], Tensor] | None = None, joints: Tensor | None = None
    ) -> Tensor:
        """Feature map of clips.

        Args:
            x: ``(N, M, C, T, V)``.
            edges: function that changes each block's adjacency ``(K, V, V)`` in this pass (HiCLR's drop/add edges).
            joints: those that are encoded in this pass, indices ``(V',)`` (PSTL). The others are removed behind the
                input normalisation, which sees all, and from the graph, which is not normalised again.

        Returns:
            ``(N, M, D, ceil(T / 4), V)``, with ``joints`` ``(N, M, D, ceil(T / 4), V')``.

        Raises:
            ConfigError: the backbone was built for different joints or channels.
        """
        N, M = x.shape[:2]
        x = self.normalised(x)
        if joints is not None:
            x = x.index_select(3, joints)
        for block, importance in zip(self.blocks, self.edge_importance, strict=True):
            A = self.adjacency_with(importance)
            if edges is not None:
                A = edges(A)
            x = block(x, A if joints is None else A.index_select(1, joints).index_select(2, joints))
        return x.unflatten(0, (N, M))


class GraphBlock(nn.Module):
    """``act(tcn(gcn(x, A)) + shortcut(x))``, without the shortcut if it is None.

    It also builds a graph convolution with its own shortcut; ``tcn`` is then a norm alone.
    """

    def __init__(self, gcn: nn.Module, tcn: nn.Module, shortcut: nn.Module | None, act: nn.Module) -> None:
        super().__init__()
        self.gcn, self.tcn, self.residual, self.relu = gcn, tcn, shortcut, act

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        """``(N, C, T, V)``, ``A`` ``(K, V, V)`` -> ``(N, C', ceil(T / stride), V)``."""
        y = self.tcn(self.gcn(x, A))
        return self.relu(y if self.residual is None else y + self.residual(x))
