"""The order of training: a function of (seed, epoch), the same for any number of processes."""

from collections.abc import Iterator, Sized

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
    is dropped; the permutation changes its clips.

    Args:
        dataset: anything with a length.
        batch_size: B, over all processes.
        shuffle: permute; otherwise every epoch runs in the data set's order.
        seed: of the permutations.

    Raises:
        ConfigError: the batch is larger than the data set, or is not divisible by the number of processes.
    """

    def __init__(self, dataset: Sized, batch_size: int, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        if batch_size > len(dataset):
            raise ConfigError(
                f'batch_size={batch_size} is larger than the training set of {len(dataset)} clips, so no batch is '
                f'complete; lower batch_size'
            )
        if batch_size % self.world_size:
            raise ConfigError(f'batch_size={batch_size} is not divisible by {self.world_size} processes')
        self.clips, self.batch_size = len(dataset), batch_size
        self.shuffle, self.seed, self.epoch, self.first = shuffle, seed or 0, 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation; mmengine calls it before every epoch."""
        self.epoch = epoch

    def start_at(self, batch: int) -> None:
        """Let the next pass begin at a batch, as a training does that was ended within an epoch; later ones do not."""
        self.first = batch

    def __len__(self) -> int:
        return self.clips // self.batch_size * (self.batch_size // self.world_size)

    def __iter__(self) -> Iterator[int]:
        order = torch.arange(self.clips)
        if self.shuffle:
            order = torch.randperm(self.clips, generator=generator(self.seed, self.epoch, 'sampler'))
        complete = order[: self.clips // self.batch_size * self.batch_size]
        slices = complete.view(-1, self.world_size, self.batch_size // self.world_size)
        first, self.first = self.first, 0
        return iter(slices[first:, self.rank].flatten().tolist())
