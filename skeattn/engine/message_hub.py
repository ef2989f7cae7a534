"""A message hub that reads the values of a step when somebody asks for them, and its state in a checkpoint."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub

from skeattn.engine.hooks.steps import EPOCH_LOSSES

HISTORY = 1000
"""Latest values of each logged scalar that a checkpoint keeps: more than any smoothing window needs."""
EVALUATIONS = ('val/', 'test/')
"""Beginnings of the names of scalars that are logged once per evaluation."""
PRESENT = ('cfg', 'seed', 'experiment_name', 'max_epochs', 'max_iters')
"""Facts of a message hub that belong to the present run, not to the resumed one."""


class LateBuffer(HistoryBuffer):
    """A history of scalars; tensors stay on their device until the history is used.

    To read a tensor, the host waits for all work that the device was given before. A logger that asks every fifty
    iterations then waits once for all of them. The values are those that mmengine reads at once.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._late: list[tuple[torch.Tensor, int]] = []
        super().__init__(*args, **kwargs)

    def update(self, log_val: Any, count: int = 1) -> None:
        """Add a value; see mmengine's HistoryBuffer."""
        if isinstance(log_val, torch.Tensor):
            self._late.append((log_val.detach().reshape(()), count))
        else:
            super().update(log_val, count)

    @property
    def _log_history(self) -> np.ndarray:  # every method of mmengine's buffer uses these two
        self._read()
        return self._values

    @_log_history.setter
    def _log_history(self, values: np.ndarray) -> None:
        self._values = values

    @property
    def _count_history(self) -> np.ndarray:
        self._read()
        return self._counts

    @_count_history.setter
    def _count_history(self, counts: np.ndarray) -> None:
        self._counts = counts

    def _read(self) -> None:
        if not self._late:
            return
        values, counts = zip(*self._late, strict=True)
        self._late = []
        self._values = np.append(self._values, torch.stack(values).tolist())[-self.max_length :]
        self._counts = np.append(self._counts, counts)[-self.max_length :]


class LateMessageHub(MessageHub):
    """mmengine's hub, but a scalar that comes as a tensor is not read at once: it is kept in a :class:`LateBuffer`."""

    def update_scalar(self, key: str, value: Any, count: int = 1, resumed: bool = True) -> None:
        """See mmengine's MessageHub."""
        if not isinstance(value, torch.Tensor):
            super().update_scalar(key, value, count, resumed)
            return
        self._set_resumed_keys(key, resumed)
        buffer = self._log_scalars.get(key)
        if not isinstance(buffer, LateBuffer):
            buffer = self._log_scalars[key] = LateBuffer(*(buffer.data if buffer else ()))
        buffer.update(value, count)


# mmengine keeps the hubs of each class apart, and its components ask MessageHub for the current one.
LateMessageHub._instance_dict = MessageHub._instance_dict


def hub_state(hub: MessageHub) -> dict[str, Any]:
    """A message hub as builtin types; of each scalar of the training the latest :data:`HISTORY` values.

    Those of evaluations are in the curves: a run that was killed after one resumes from a checkpoint before it. Losses
    of an incomplete epoch are kept apart, see :func:`~skeattn.engine.accumulation.unfinished_epoch`.
    """
    state = hub.state_dict()
    scalars = {}
    for name, buffer in state['log_scalars'].items():
        if name.startswith(EVALUATIONS):
            continue
        values, counts = buffer.data
        scalars[name] = {'values': values[-HISTORY:].tolist(), 'counts': counts[-HISTORY:].tolist()}
    resumed = {name: kept for name, kept in state['resumed_keys'].items() if not name.startswith(EVALUATIONS)}
    info = {name: value for name, value in state['runtime_info'].items() if name != EPOCH_LOSSES}
    return {**state, 'log_scalars': scalars, 'runtime_info': info, 'resumed_keys': resumed}


def restore_hub(hub: MessageHub, state: Mapping[str, Any]) -> None:
    """Undo :func:`hub_state`; facts of the present run, such as its config, stay."""
    scalars = {name: HistoryBuffer(s['values'], s['counts']) for name, s in state['log_scalars'].items()}
    present = {key: hub.get_info(key) for key in PRESENT if key in hub.runtime_info}
    info = {**state['runtime_info'], **present}
    hub.load_state_dict({**state, 'log_scalars': scalars, 'runtime_info': info})
