"""ST-GCN (Yan et al., AAAI 2018) as the contrastive methods of this field configure it."""

from collections.abc import Callable
from typing import Any

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skeattn.errors import ConfigError
from skeattn.graph import adjacency
from skeattn.models.dropout import Dropout
from skeattn.registry import BACKBONES
from skeattn.skeletons import SkeletonLayout, get_layout

# Per block: output width in multiples of the base width (None: out_channels), temporal stride.
_BLOCKS = ((1, 1), (1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (None, 1))


class GraphConv(nn.Module):
    """Graph convolution ``y[w] = sum_k sum_v (W_k x[v] + b_k) A[k, v, w]``.

    Neighbours are aggregated first and mapped afterwards, with channels last: one small batched product and one large
    one, no transposition. The parameters keep the release's form, a 1x1 convolution to K * out_channels maps.
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.conv = nn.Conv2d(in_channels, subsets * out_channels, kernel_size=1)

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        """``x`` ``(N, C, T, V)``, ``A`` ``(K, V, V)`` -> ``(N, C', T, V)``."""
        N, C, T, V = x.shape
        K = self.subsets
        weight = self.conv.weight.view(K, -1, C).transpose(0, 1).flatten(1)  # (C', K*C)
        # sum_k b_k (sum_v A[k, v, w]): what the bias becomes when aggregation comes first
        bias = A.sum(dim=1).T @ self.conv.bias.view(K, -1)  # type: ignore[union-attr]
        neighbours = A.permute(2, 0, 1).reshape(V * K, V)
        rows = x.permute(0, 2, 3, 1).reshape(N * T, V, C)
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            neighbours, rows, weight = neighbours.to(dtype), rows.to(dtype), weight.to(dtype)
        out: Tensor = _GatherAndMap.apply(neighbours, rows, weight)
        return (out.view(N, T, V, -1) + bias).permute(0, 3, 1, 2)


class _GatherAndMap(torch.autograd.Function):
    """``linear(gather(rows))``: neighbours ``(V*K, V)``, rows ``(N, V, C)``, weight ``(C', K*C)`` -> ``(N, V, C')``.

    The K * C gathered channels are by far the largest map of a block, so they are computed again for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, neighbours: Tensor, rows: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(neighbours, rows, weight)
        return nn.functional.linear(_gather(neighbours, rows), weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        neighbours, rows, weight = ctx.saved_tensors
        grad = grad.flatten(0, 1)
        grad_weight = grad.T @ _gather(neighbours, rows).flatten(0, 1)
        grad_gathered = (grad @ weight).view(len(rows), len(neighbours), -1)
        grad_rows = torch.bmm(neighbours.T.expand(len(rows), -1, -1), grad_gathered)
        grad_neighbours = torch.bmm(grad_gathered, rows.transpose(1, 2)).sum(dim=0)
        return grad_neighbours, grad_rows, grad_weight


def _gather(neighbours: Tensor, rows: Tensor) -> Tensor:
    # bmm over an expanded matrix: matmul would fold the batch away and transpose every map for it
    N, V, _ = rows.shape
    return torch.bmm(neighbours.expand(N, -1, -1), rows).view(N, V, -1)


class STGCNBlock(nn.Module):
    """Graph convolution, BN, ReLU, 9x1 temporal convolution, BN, dropout, residual, ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        subsets: int,
        stride: int,
        dropout: float,
        residual: bool,
        norm_cfg: dict[str, Any],
        act_cfg: dict[str, Any],
        kernel_size: int,
    ) -> None:
        super().__init__()
        self.gcn = GraphConv(in_channels, out_channels, subsets)
        self.tcn = nn.Sequential(
            build_norm_layer(norm_cfg, out_channels)[1],
            build_activation_layer(act_cfg),
            nn.Conv2d(out_channels, out_channels, (kernel_size, 1), (stride, 1), (kernel_size // 2, 0)),
            build_norm_layer(norm_cfg, out_channels)[1],
            Dropout(dropout),
        )
        self.residual: nn.Module | None = None
        if residual and in_channels == out_channels and stride == 1:
            self.residual = nn.Identity()
        elif residual:
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), build_norm_layer(norm_cfg, out_channels)[1]
            )
        self.relu = build_activation_layer(act_cfg)

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        """``(N, C, T, V)`` -> ``(N, C', T / stride, V)``."""
        y = self.tcn(self.gcn(x, A))
        return self.relu(y if self.residual is None else y + self.residual(x))


@BACKBONES.register_module()
class STGCN(BaseModule):
    """ST-GCN, 10 blocks, temporal stride 4.

    Args:
        layout: name of the skeleton layout.
        base_channels: w; blocks have widths w, 2w, 4w. 64 in SkeAttnCLR, 16 in the methods it is compared with.
        out_channels: D, width of the last block.
        graph: adjacency strategy, ``'agcn'`` or ``'spatial'``.
        dropout: after every temporal convolution but the first block's.
        in_channels: coordinates per joint.
        kernel_size: frames a temporal convolution sees.
        norm_cfg, act_cfg: normalisation and activation, built by ``mmcv.cnn``.

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
        super().__init__(init_cfg)
        norm_cfg, act_cfg = norm_cfg or {'type': 'BN'}, act_cfg or {'type': 'ReLU'}
        self.layout, self.in_channels, self.out_channels = get_layout(layout), in_channels, out_channels
        A = torch.tensor(adjacency(self.layout, graph), dtype=torch.get_default_dtype())
        self.register_buffer('A', A, persistent=False)
        self.data_bn = nn.BatchNorm1d(in_channels * self.layout.num_joints)
        self.blocks = nn.ModuleList()
        width = in_channels
        for i, (multiple, stride) in enumerate(_BLOCKS):
            new = multiple * base_channels if multiple else out_channels
            drop = 0.0 if i == 0 else dropout
            self.blocks.append(STGCNBlock(width, new, len(A), stride, drop, i > 0, norm_cfg, act_cfg, kernel_size))
            width = new
        self.edge_importance = nn.ParameterList([nn.Parameter(torch.ones_like(A)) for _ in _BLOCKS])

    def forward(self, x: Tensor, edges: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Feature map of clips.

        Args:
            x: ``(N, M, C, T, V)``.
            edges: changes each block's weighted adjacency ``(K, V, V)`` in this pass (HiCLR's drop/add edges).

        Returns:
            ``(N, M, D, ceil(T / 4), V)``.

        Raises:
            ConfigError: joints or channels are not the layout's.
        """
        N, M, C, T, V = x.shape
        if (self.in_channels, self.layout.num_joints) != (C, V):
            raise ConfigError(
                f'backbone STGCN was built for {self.in_channels} channels and layout {self.layout.name!r} '
                f'({self.layout.num_joints} joints), but the clips have {C} channels and {V} joints'
            )
        x = x.flatten(0, 1).permute(0, 3, 1, 2).reshape(N * M, V * C, T)
        x = self.data_bn(x).view(N * M, V, C, T).permute(0, 2, 3, 1)
        for block, importance in zip(self.blocks, self.edge_importance, strict=True):
            A = self.A * importance
            x = block(x, A if edges is None else edges(A))
        return x.unflatten(0, (N, M))
