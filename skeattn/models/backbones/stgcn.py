"""ST-GCN (Yan et al., AAAI 2018) as the contrastive methods of this field configure it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skeattn.models.backbones.joints import GraphBackbone
from skeattn.models.dropout import Dropout
from skeattn.registry import BACKBONES

FOLDED = {
    ('cpu', torch.float32): lambda C, out: C * out <= 192,
    ('cpu', torch.bfloat16): lambda C, out: C <= 16,
    ('cuda', torch.bfloat16): lambda C, out: max(C, out) <= 128,
}
"""(Type of device, precision) -> whether one product over joints and channels is the fastest form, by the widths C and
C', see docs/performance.md."""


class GraphConv(nn.Module):
    """Graph convolution ``y[w] = sum_k sum_v (W_k x[v] + b_k) A[k, v, w]``.

    Neighbours are aggregated first and mapped afterwards, with channels last: one small batched product and one large
    one, no transposition. Batched products of few columns are slow, so a narrow layer is one product with the matrix
    ``sum_k A[k, v, w] W_k`` over joints and channels: more operations, in less time.
    The parameters have the release's form, a 1x1 convolution to K * out_channels maps.
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.conv = nn.Conv2d(in_channels, subsets * out_channels, kernel_size=1)

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        """``x`` ``(N, C, T, V)``, ``A`` ``(K, V, V)`` -> ``(N, C', T, V)``."""
        N, C, T, V = x.shape
        K = self.subsets
        # sum_k b_k (sum_v A[k, v, w]): the bias when aggregation comes first
        bias = A.sum(dim=1).T @ self.conv.bias.view(K, -1)  # type: ignore[union-attr]
        rows = x.permute(0, 2, 3, 1).reshape(N * T, V, C)
        autocast = torch.is_autocast_enabled(x.device.type)
        dtype = torch.get_autocast_dtype(x.device.type) if autocast else x.dtype
        narrow = FOLDED.get((x.device.type, dtype))
        if narrow and narrow(C, self.conv.out_channels // K):
            weight = self._fold(A)
            out = nn.functional.linear(rows.flatten(1), weight, bias.flatten())
            return out.view(N, T, V, len(weight) // V).permute(0, 3, 1, 2)
        weight = self.conv.weight.view(K, -1, C).transpose(0, 1).flatten(1)  # (C', K*C)
        neighbours = A.permute(2, 0, 1).reshape(V * K, V)
        if autocast:
            neighbours, rows, weight = neighbours.to(dtype), rows.to(dtype), weight.to(dtype)
        out = _GatherAndMap.apply(neighbours, rows, weight)
        return (out.view(N, T, V, out.shape[-1]) + bias).permute(0, 3, 1, 2)

    def _fold(self, A: Tensor) -> Tensor:
        """``sum_k A[k, v, w] W_k`` as a matrix ``(V*C', V*C)``, in the parameters' precision."""
        W = self.conv.weight.view(self.subsets, -1, self.conv.in_channels)
        with torch.autocast(A.device.type, enabled=False):
            return torch.einsum('kvw,koc->wovc', A, W).flatten(2).flatten(0, 1)


class _GatherAndMap(torch.autograd.Function):
    """``linear(gather(rows))``: neighbours ``(V*K, V)``, rows ``(N, V, C)``, weight ``(C', K*C)`` -> ``(N, V, C')``.

    The K * C gathered channels are by far the largest map of a block, so they are recomputed for the backward pass.
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
        grad_gathered = (grad @ weight).view(len(rows), len(neighbours), rows.shape[2])
        grad_rows = torch.bmm(neighbours.T.expand(len(rows), -1, -1), grad_gathered)
        grad_neighbours = torch.bmm(grad_gathered, rows.transpose(1, 2)).sum(dim=0)
        return grad_neighbours, grad_rows, grad_weight


def _gather(neighbours: Tensor, rows: Tensor) -> Tensor:
    # bmm over an expanded matrix: matmul would fold the batch and transpose every map
    N, V, C = rows.shape
    return torch.bmm(neighbours.expand(N, -1, -1), rows).view(N, V, len(neighbours) // V * C)  # N may be 0


@BACKBONES.register_module()
class STGCN(GraphBackbone):
    """ST-GCN: a block is graph convolution, BN, ReLU, 9x1 temporal convolution, BN, dropout; residual; ReLU.

    The arguments are those of :class:`~skeattn.models.backbones.joints.GraphBackbone`. ``base_channels`` is 64 in
    SkeAttnCLR, 16 in the methods it is compared with. ``edge_importance`` weights the edges of the graph.
    """

    def layers(self, in_channels: int, out_channels: int, stride: int, dropout: float) -> tuple[nn.Module, nn.Module]:
        """See :meth:`GraphBackbone.layers`."""
        size = self.kernel_size
        gcn = GraphConv(in_channels, out_channels, len(self.A))
        tcn = nn.Sequential(
            self.norm(out_channels),
            self.act(),
            nn.Conv2d(out_channels, out_channels, (size, 1), (stride, 1), (size // 2, 0)),
            self.norm(out_channels),
            Dropout(dropout),
        )
        return gcn, tcn

    def initial_importance(self) -> Tensor:
        """See :meth:`GraphBackbone.initial_importance`: every edge has weight 1."""
        return torch.ones_like(self.A)

    def adjacency_with(self, importance: Tensor) -> Tensor:
        """See :meth:`GraphBackbone.adjacency_with`."""
        return self.A * importance
