"""The queue of keys: state and arithmetic. QueueUpdateHook decides when keys are written."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skeattn.errors import ConfigError
from skeattn.models.processes import gather_rows


class FeatureQueue(nn.Module):
    """First-in first-out queue of K unit-length keys.

    A method stores it in any attribute and stages keys in ``loss()``; QueueUpdateHook finds and flushes it.

    Args:
        size: K, number of keys.
        channels: D, their dimension.
        with_ids: whether keys are staged with the ids of their clips.

    Attributes:
        keys: ``(D, K)``, one key per column; initially random unit columns.
        ids: ``(K,)``, the clip of each key, -1 for an initial one; None without ids.
        pointer: column of the next key.
        micro_batches: number of batches staged per optimiser step; set by the hook.
    """

    keys: Tensor
    ids: Tensor | None
    pointer: Tensor

    def __init__(self, size: int, channels: int, with_ids: bool = False) -> None:
        super().__init__()
        self.register_buffer('keys', normalize(torch.randn(channels, size), dim=0))
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))
        self.register_buffer('ids', torch.full((size,), -1) if with_ids else None)
        self.pending: list[Tensor] = []
        self.pending_ids: list[Tensor] = []
        self.micro_batches = 1

    def stage(self, keys: Tensor, ids: Tensor | None = None) -> None:
        """Keep this batch's keys ``(B, D)``, with the ids ``(B,)`` of their clips, until the optimiser has stepped.

        Raises:
            ConfigError: the keys of the last optimiser step were not enqueued.
        """
        if len(self.pending) >= self.micro_batches:
            raise ConfigError(
                'keys of the last optimiser step were never written to the queue, so the negatives would never change; '
                'keep default_hooks.queue=dict(type="QueueUpdateHook") in the config'
            )
        self.pending.append(keys.detach())
        if ids is not None:
            self.pending_ids.append(ids)

    def flush(self) -> None:
        """Write the staged keys of all processes: micro-batch by micro-batch, each in rank order."""
        for i, keys in enumerate(self.pending):
            self.enqueue(gather_rows(keys), None if self.ids is None else gather_rows(self.pending_ids[i]))
        self.pending.clear()
        self.pending_ids.clear()

    @torch.no_grad()
    def enqueue(self, keys: Tensor, ids: Tensor | None = None) -> None:
        """Overwrite the oldest entries with ``keys`` ``(B, D)``, wrapping around at the end.

        Raises:
            ConfigError: more keys than the queue holds.
        """
        B, K = len(keys), self.keys.shape[1]
        if B > K:
            raise ConfigError(f'a batch of {B} keys does not fit model.queue.size={K}; use a larger queue')
        columns = (self.pointer + torch.arange(B, device=keys.device)) % K
        self.keys[:, columns] = keys.T.to(self.keys.dtype)
        if self.ids is not None and ids is not None:
            self.ids[columns] = ids
        self.pointer.add_(B).remainder_(K)

    @torch.no_grad()
    def similarity(self, x: Tensor, ids: Tensor) -> Tensor:
        """Cosines of unit vectors ``(B, D)`` with all keys, ``(B, K)``; -inf for keys of the vector's own clip.

        Args:
            x: the vectors.
            ids: the clip of each, ``(B,)``.
        """
        assert self.ids is not None, 'the queue was built without ids'
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 would round away the differences that are ranked
            cosines = x.to(self.keys.dtype) @ self.keys
        return cosines.masked_fill(ids[:, None] == self.ids, -torch.inf)

    def nearest(self, x: Tensor, ids: Tensor) -> Tensor:
        """The key most similar to each vector, of those of other clips, ``(B, D)``; see :meth:`similarity`."""
        return self.keys[:, self.similarity(x, ids).argmax(dim=1)].T


def queues_of(model: nn.Module) -> list[FeatureQueue]:
    """Every queue of a model, in the order of its modules."""
    return [module for module in model.modules() if isinstance(module, FeatureQueue)]
