"""The queue of keys: state and arithmetic. QueueUpdateHook decides when keys are written."""

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor, nn
from torch.nn.functional import normalize

from skeattn.errors import ConfigError


def gather_rows(x: Tensor) -> Tensor:
    """Rows of all processes in rank order (no gradient flows); ``x`` itself in a single process."""
    return torch.cat(all_gather(x.detach().contiguous())) if get_world_size() > 1 else x


def own_rows(x: Tensor) -> Tensor:
    """The indices, ``(N,)``, of this process's rows among those of all processes."""
    return get_rank() * len(x) + torch.arange(len(x), device=x.device)


def partner_rows(x: Tensor, shift: Tensor) -> Tensor:
    """For each row the one ``shift`` ``(N,)`` places later in the global batch, from any process."""
    rows = gather_rows(x)
    return rows[(own_rows(x) + shift) % len(rows)]


class FeatureQueue(nn.Module):
    """First-in first-out queue of K unit-length keys.

    A method stores it in any attribute and stages keys in ``loss()``; QueueUpdateHook finds and flushes it.

    Args:
        size: K, number of keys.
        channels: D, their dimension.

    Attributes:
        keys: ``(D, K)``, one key per column; initially random unit columns.
        pointer: column of the next key.
        micro_batches: number of batches staged per optimiser step; set by the hook.
    """

    keys: Tensor
    pointer: Tensor

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.register_buffer('keys', normalize(torch.randn(channels, size), dim=0))
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))
        self.pending: list[Tensor] = []
        self.micro_batches = 1

    def stage(self, keys: Tensor) -> None:
        """Keep this batch's keys ``(B, D)`` until the optimiser has stepped.

        Raises:
            ConfigError: the keys of the last optimiser step were not enqueued.
        """
        if len(self.pending) >= self.micro_batches:
            raise ConfigError(
                'keys of the last optimiser step were never written to the queue, so the negatives would never change; '
                'keep default_hooks.queue=dict(type="QueueUpdateHook") in the config'
            )
        self.pending.append(keys.detach())

    def flush(self) -> None:
        """Write the staged keys of all processes: micro-batch by micro-batch, each in rank order."""
        for keys in self.pending:
            self.enqueue(gather_rows(keys))
        self.pending.clear()

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Overwrite the oldest entries with ``keys`` ``(B, D)``, wrapping around at the end.

        Raises:
            ConfigError: more keys than the queue holds.
        """
        B, K = len(keys), self.keys.shape[1]
        if B > K:
            raise ConfigError(f'a batch of {B} keys does not fit model.queue.size={K}; use a larger queue')
        columns = (self.pointer + torch.arange(B, device=keys.device)) % K
        self.keys[:, columns] = keys.T.to(self.keys.dtype)
        self.pointer.add_(B).remainder_(K)


def queues_of(model: nn.Module) -> list[FeatureQueue]:
    """Every queue of a model, in the order of its modules."""
    return [module for module in model.modules() if isinstance(module, FeatureQueue)]
