"""One set of BatchNorm statistics for all processes."""

from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook

from skeattn.engine.processes import statistics_of
from skeattn.registry import HOOKS


@HOOKS.register_module()
class AverageBNStatsHook(Hook):
    """Average running mean and variance over the processes at the end of each epoch, before checkpoint and evaluation.

    Each process normalises its own slice, so their statistics drift apart; a checkpoint would hold the first one's.
    Nothing else changes: queue, pointer and counters are already equal.
    """

    priority = 'NORMAL'

    def after_train_epoch(self, runner: Any) -> None:
        """Average all statistics in one message."""
        statistics = statistics_of(runner)
        if get_world_size() == 1 or not statistics:
            return
        flat = torch.cat(statistics)
        all_reduce(flat, op='mean')
        for buffer, mean in zip(statistics, flat.split([len(s) for s in statistics]), strict=True):
            buffer.copy_(mean)
