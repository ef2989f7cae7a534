"""Random changes of the graph during training."""

import torch
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.registry import MODELS


@MODELS.register_module()
class DropAddEdges(nn.Module):
    """Drop/Add Edges (DAE), one of HiCLR's strong augmentations: some edges are removed, some absent ones are added.

    Each call (one per block) draws its rates p ~ U(0, drop) and q ~ U(0, add) from torch's global generator, like
    dropout. Every edge is dropped with probability p, every absent one is added with probability q, and each subset is
    rescaled to its previous mass. In eval mode nothing changes.

    HiCLR's paper names DAE as part of its strongest branch. Its release has, per layer, dropout on the adjacency with
    rate U(0, drop), then added edges where entries are 0 with rate U(0, add), the total mass kept; its pre-training
    never switches it on, and its configs set (0, 0) for the GCN, (0.1, 0.05) for the transformer. Our choices: an added
    edge has the mean weight of its subset's edges; a dropped edge is not added again; the mass, kept in each
    subset, is the sum of absolute weights, since learnt weights may cancel. A subset that loses all edges stays empty.

    Args:
        drop, add: the maximum rates, in [0, 1].

    Raises:
        ConfigError: a rate outside [0, 1].
    """

    def __init__(self, drop: float = 0.1, add: float = 0.05) -> None:
        super().__init__()
        if not (0 <= drop <= 1 and 0 <= add <= 1):
            raise ConfigError(f'DropAddEdges: drop={drop}, add={add}: rates must lie in [0, 1]')
        self.drop, self.add = drop, add

    def forward(self, A: Tensor) -> Tensor:
        """A block's weighted adjacency ``(K, V, V)``, changed and differentiable."""
        if not self.training:
            return A
        edge = A != 0
        p, q = torch.rand(2, device=A.device)
        chance = torch.rand(A.shape, device=A.device)
        weight = A.sum(dim=(1, 2), keepdim=True) / edge.sum(dim=(1, 2), keepdim=True).clamp(min=1)
        kept = A * (chance >= p * self.drop)
        changed = torch.where(edge, kept, weight * (chance < q * self.add))
        mass, new_mass = (B.abs().sum(dim=(1, 2), keepdim=True) for B in (A, changed))
        return changed * (mass / new_mass.clamp(min=torch.finfo(A.dtype).eps))

    def extra_repr(self) -> str:
        """What ``print`` shows of the module."""
        return f'drop={self.drop}, add={self.add}'
