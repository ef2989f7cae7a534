"""Writing checkpoints so that a kill at any moment leaves a good one, and finding it again."""

import os
import re
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor

from skeattn.apis.checkpoint import read_checkpoint
from skeattn.errors import CheckpointError
from skeattn.files import write_atomic

LAST = 'last_checkpoint'
EPOCH_FILE = 'epoch_{}.pth'
HISTORY = 1000
"""Latest values of each logged scalar that a checkpoint keeps: more than any smoothing window needs."""


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint that loads with ``torch.load(path, weights_only=True)`` and nothing allow-listed."""
    write_atomic(path, lambda file: torch.save(plain(checkpoint), file))


def plain(value: Any) -> Any:
    """The same value out of builtin types and CPU tensors alone.

    Raises:
        TypeError: a value of any other kind, which a safe reader would refuse.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, deque)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value) if value.dtype.kind in 'biuf' else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (os.PathLike, torch.device, torch.dtype)):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f'a checkpoint holds builtin values and tensors, not {type(value)}')


def hub_state(hub: MessageHub) -> dict[str, Any]:
    """A message hub as builtin types; of each scalar the latest :data:`HISTORY` values."""
    state = hub.state_dict()
    scalars = {}
    for name, buffer in state['log_scalars'].items():
        values, counts = buffer.data
        scalars[name] = {'values': values[-HISTORY:].tolist(), 'counts': counts[-HISTORY:].tolist()}
    return {**state, 'log_scalars': scalars}


def restore_hub(hub: MessageHub, state: Mapping[str, Any]) -> None:
    """Undo :func:`hub_state`."""
    scalars = {name: HistoryBuffer(s['values'], s['counts']) for name, s in state['log_scalars'].items()}
    hub.load_state_dict({**state, 'log_scalars': scalars})


def find_newest(work_dir: str | os.PathLike[str], report: Callable[[str], Any] = print) -> Path | None:
    """The newest checkpoint of a run that can be read.

    ``last_checkpoint`` names it; where that file is damaged or gone, the epoch before is taken, and so on.

    Args:
        work_dir: folder of the run, wherever it was copied.
        report: told about each checkpoint that is passed over.

    Returns:
        its path, or None when the run never wrote one.

    Raises:
        CheckpointError: there are checkpoints, and none can be read.
    """
    work_dir = Path(work_dir)
    epochs = epoch_files(work_dir)
    pointer = work_dir / LAST
    if pointer.is_file():
        named = re.fullmatch(r'epoch_(\d+)\.pth', Path(pointer.read_text().strip()).name)
        # Later epochs than the pointer's are left from an earlier run in the same folder.
        epochs = {epoch: path for epoch, path in epochs.items() if named is None or epoch <= int(named[1])}
    for epoch in sorted(epochs, reverse=True):
        try:
            read_checkpoint(epochs[epoch])
        except CheckpointError as error:
            report(f'not resumed from it: {error}')
        else:
            return epochs[epoch]
    if epochs:
        raise CheckpointError(f'{work_dir}: none of its {len(epochs)} checkpoints can be read; start without --resume')
    return None


def epoch_files(work_dir: Path) -> dict[int, Path]:
    """The checkpoints written at the end of epochs, by epoch."""
    named = [(re.fullmatch(r'epoch_(\d+)\.pth', path.name), path) for path in work_dir.glob('epoch_*.pth')]
    return {int(match[1]): path for match, path in named if match}
