"""Everything random in training, as a function of (seed, iteration, process)."""

from typing import Any

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from skeattn.augment.seeding import generator
from skeattn.engine.hooks.steps import bare_model
from skeattn.registry import HOOKS


@HOOKS.register_module()
class RandomnessHook(Hook):
    """Seed each training iteration anew, so that a resumed run needs no stored random state.

    Augmentations depend on (seed, iteration) and the position in the global batch, not on the number of processes.
    Dropout, drawn from torch's global generator, also depends on the process.
    """

    priority = 'HIGHEST'

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed torch and tell the preprocessor which iteration comes."""
        torch.manual_seed(generator(runner.seed, runner.iter, f'rank{get_rank()}').initial_seed())
        preprocessor = bare_model(runner).data_preprocessor
        if hasattr(preprocessor, 'begin_iteration'):
            preprocessor.begin_iteration(runner.seed, runner.iter)
