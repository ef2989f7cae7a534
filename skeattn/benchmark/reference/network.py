"""ST-GCN and its heads in the style and with the parameter names of the released code.

One einsum over ``(N, K, C, T, V)`` maps per graph convolution, persons folded into the batch, softmax attention written
out. Parts that the releases compute or store without use are kept: they are part of the cost.
"""

import torch
from torch import Tensor, nn

from skeattn.graph import adjacency

LAYOUT = 'ntu25'
BLOCKS = ((1, 1), (1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (0, 1))
"""Width in multiples of the first (0: that of the output) and temporal stride of every block."""
KERNEL = 9


class GraphConv(nn.Module):
    """``out[w] = sum_k sum_v (W_k x[v] + b_k) A[k, v, w]``: all maps first, then one einsum."""

    def __init__(self, in_channels: int, out_channels: int, subsets: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.conv = nn.Conv2d(in_channels, subsets * out_channels, 1)

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        """``(N, C, T, V)``, ``(K, V, V)`` -> ``(N, C', T, V)``."""
        maps = self.conv(x).unflatten(1, (self.subsets, -1))
        return torch.einsum('nkctv,kvw->nctw', maps, A).contiguous()


class Block(nn.Module):
    """Graph convolution, then BN, ReLU, temporal convolution, BN, dropout; residual; ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, dropout: float, first: bool) -> None:
        super().__init__()
        self.gcn = GraphConv(in_channels, out_channels, 3)
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, (KERNEL, 1), (stride, 1), (KERNEL // 2, 0)),
            nn.BatchNorm2d(out_channels),
            nn.Dropout(dropout),
        )
        self.residual: nn.Module | None = None
        if not first:
            same = in_channels == out_channels and stride == 1
            changed = nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), nn.BatchNorm2d(out_channels)
            self.residual = nn.Identity() if same else nn.Sequential(*changed)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        """``(N, C, T, V)`` -> ``(N, C', T / stride, V)``."""
        shortcut = 0 if self.residual is None else self.residual(x)
        return self.relu(self.tcn(self.gcn(x, A)) + shortcut)


class STGCN(nn.Module):
    """Ten blocks and a head ``fc``: a classifier in SkeAttnCLR, the projector in the other methods.

    Args:
        fc: the head, applied to pooled features.
        width: of the first block.
        channels: of the map.
        graph: adjacency strategy, ``'agcn'`` or ``'spatial'``.
        dropout: rate in every block but the first.
    """

    A: Tensor

    def __init__(self, fc: nn.Module, width: int, channels: int, graph: str, dropout: float) -> None:
        super().__init__()
        self.register_buffer('A', torch.tensor(adjacency(LAYOUT, graph), dtype=torch.get_default_dtype()))
        self.data_bn = nn.BatchNorm1d(3 * self.A.shape[1])
        widths = [3, *(multiple * width or channels for multiple, _ in BLOCKS)]
        self.st_gcn_networks = nn.ModuleList(
            Block(widths[i], widths[i + 1], stride, dropout if i else 0.0, i == 0)
            for i, (_, stride) in enumerate(BLOCKS)
        )
        self.edge_importance = nn.ParameterList([nn.Parameter(torch.ones_like(self.A)) for _ in BLOCKS])
        self.fc = fc

    def map(self, x: Tensor) -> Tensor:
        """Clips ``(N, C, T, V, M)`` -> maps of all persons ``(N * M, D, T / 4, V)``."""
        N, C, T, V, M = x.shape
        x = x.permute(0, 4, 3, 1, 2).contiguous().view(N * M, V * C, T)
        x = self.data_bn(x).view(N * M, V, C, T).permute(0, 2, 3, 1).contiguous()
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """The head of the pooled features of clips, ``(N, D')``."""
        return self.fc(pooled(self.map(x), x.shape[4]))


def pooled(maps: Tensor, persons: int) -> Tensor:
    """Maps ``(N * M, D, T, V)`` -> means over positions and then persons, ``(N, D)``."""
    means = nn.functional.avg_pool2d(maps, maps.shape[2:])
    return means.view(-1, persons, maps.shape[1]).mean(dim=1)


class MLP(nn.Module):
    """SkeAttnCLR's projector and predictors: 1-D convolutions of length 1 without bias."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv1d(in_channels, hidden, 1, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Conv1d(hidden, out_channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C)`` -> ``(N, C')``."""
        return self.mlp(x.unsqueeze(2)).squeeze(2)


class Attention(nn.Module):
    """Multi-head self-attention with all its ``n x n`` matrices."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``(N, n, C)`` -> ``(N, n, C)``."""
        N, n, C = x.shape
        q, k, v = self.qkv(x).reshape(N, n, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(2, 3) * (C // self.heads) ** -0.5, dim=3)
        return self.proj((weights @ v).transpose(1, 2).reshape(N, n, C))


class Neck(nn.Module):
    """SkeAttnCLR's attention mask and projector; ``proj_obj`` is stored and never used, as released."""

    def __init__(self, channels: int, embedding: int, heads: int, lam: float) -> None:
        super().__init__()
        self.lam = lam
        self.norm0 = nn.LayerNorm(channels)
        self.Attn = Attention(channels, heads)
        self.proj = MLP(channels, channels, embedding)
        self.proj_obj = MLP(channels, channels, embedding)

    def mask(self, maps: Tensor) -> Tensor:
        """Salient mask ``(N * M, n, C)`` of maps ``(N * M, C, T, V)``."""
        return torch.sigmoid(self.lam * self.Attn(self.norm0(maps.flatten(2).transpose(1, 2))))

    def regions(self, maps: Tensor, mask: Tensor, persons: int) -> tuple[Tensor, Tensor]:
        """Projected salient and non-salient features ``(N, D)`` of maps."""
        tokens = maps.flatten(2).transpose(1, 2)
        means = [(tokens * part).mean(dim=1) for part in (mask, torch.ones_like(mask) - mask)]
        salient, other = (self.proj(mean.view(-1, persons, mean.shape[1]).mean(dim=1)) for mean in means)
        return salient, other
