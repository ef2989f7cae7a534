"""The order of training: a function of (seed, epoch), the same for any number of processes."""

from collections.abc import Iterator, Sized
from typing import Any

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from skeattn.augment.seeding import generator
from skeattn.errors import ConfigError
from skeattn.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class GlobalBatchSampler(Sampler[int]):
    """Clip indices for this process, to be cut into batches of ``batch_size / world size``.

    Epoch e is a permutation drawn from (seed, e); global batch i is its rows ``i * B … (i + 1) * B``, of which rank r
    takes the r-th of W equal slices: in rank order they form the batch of a single process. The incomplete last batch
    is dropped; the permutation changes its clips. Of a data set with several ``groups`` (MultiLayoutDataset), a batch
    holds clips of one: the batches of all groups are permuted, and every group drops its incomplete batch.

    Args:
        dataset: anything with a length; its attribute ``groups`` ``(N,)``, if any, numbers the group of each clip.
        batch_size: B, over all processes.
        shuffle: permute; otherwise every epoch runs in the data set's order.
        seed: of the permutations.

    Raises:
        ConfigError: the batch is larger than the data set or a group, or is not divisible by the number of processes.
    """

    def __init__(self, dataset: Sized, batch_size: int, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        groups = getattr(dataset, 'groups', torch.zeros(len(dataset), dtype=torch.int64))
        self.groups = [torch.nonzero(groups == group)[:, 0] for group in groups.unique()]
        least = min(map(len, self.groups), default=0)
        if batch_size > least:
            part = 'training set' if len(self.groups) < 2 else 'smallest part of the training set, of one layout,'
            raise ConfigError(
                f'batch_size={batch_size} is larger than the {part} of {least} clips, so no batch is complete; lower '
                f'batch_size'
            )
        if batch_size % self.world_size:
            raise ConfigError(f'batch_size={batch_size} is not divisible by {self.world_size} processes')
        self.batch_size = batch_size
        self.shuffle, self.seed, self.epoch, self.first = shuffle, seed or 0, 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation; mmengine calls it before every epoch."""
        self.epoch = epoch

    def start_at(self, batch: int) -> None:
        """Let the next pass begin at a batch, as a training does that was ended within an epoch; later ones do not."""
        self.first = batch

    def __len__(self) -> int:
        return sum(len(clips) // self.batch_size for clips in self.groups) * (self.batch_size // self.world_size)

    def __iter__(self) -> Iterator[int]:
        draws, batches = generator(self.seed, self.epoch, 'sampler'), []
        for clips in self.groups:
            order = clips[torch.randperm(len(clips), generator=draws)] if self.shuffle else clips
            batches.append(order[: len(clips) // self.batch_size * self.batch_size].view(-1, self.batch_size))
        mixed = torch.cat(batches)
        if self.shuffle and len(self.groups) > 1:
            mixed = mixed[torch.randperm(len(mixed), generator=draws)]
        slices = mixed.view(-1, self.world_size, self.batch_size // self.world_size)
        first, self.first = self.first, 0
        return iter(slices[first:, self.rank].flatten().tolist())


def homogeneous(dataset: Any, index: torch.Tensor) -> list[torch.Tensor]:
    """Indices of clips (int64), divided by their group in the data set; one part where there are no groups."""
    groups = getattr(dataset, 'groups', None)
    if groups is None:
        return [index]
    return [index[groups[index] == group] for group in groups[index].unique()]
