"""Stop at the first NaN, before it reaches a checkpoint."""

import math
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook

from skeattn.checkpoint import LAST
from skeattn.errors import NonFiniteError
from skeattn.registry import HOOKS


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Raise on a NaN or infinite loss.

    Raises:
        NonFiniteError: gives iteration, loss terms, clips of the batch and the last good checkpoint.
    """

    priority = 'HIGHEST'

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Check every logged value."""
        values = {name: torch.as_tensor(value).item() for name, value in (outputs or {}).items()}
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        if not bad:
            return
        terms = ', '.join(f'{name}={value}' for name, value in bad.items())
        raise NonFiniteError(
            f'iteration {runner.iter} (epoch {runner.epoch + 1}): {terms}; {_clips(runner, data_batch)}. '
            f'{last_good(runner.work_dir)} Lower the learning rate, or look at the clips with tools/verify_data.py'
        )


def last_good(work_dir: str) -> str:
    """A sentence that names the checkpoint to go back to."""
    pointer = Path(work_dir) / LAST
    if not pointer.is_file():
        return 'No checkpoint had been written yet.'
    return f'The last good checkpoint is {Path(work_dir) / pointer.read_text().strip()}, untouched.'


def _clips(runner: Any, batch: Any) -> str:
    names = getattr(runner.train_dataloader.dataset, 'names', None)
    if not isinstance(batch, dict) or 'index' not in batch or names is None:
        return 'clips unknown'
    finite = torch.isfinite(batch['inputs']).flatten(1).all(dim=1)
    index = batch['index'] if finite.all() else batch['index'][~finite]
    what = 'clips of the batch' if finite.all() else 'clips with NaN or infinite coordinates'
    return f'{what}: {", ".join(str(names[i]) for i in index.tolist())}'
