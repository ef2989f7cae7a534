"""The state of a training before an iteration, to which it returns if the iteration must not count."""

from typing import Any

import torch
from torch import Tensor

from skeattn.engine.hooks.steps import bare_model
from skeattn.models.queue import queues_of


class Snapshot:
    """A copy of everything that an iteration changes: weights, buffers, optimiser, staged keys.

    Args:
        runner: the Runner, before an iteration that is an optimiser step of its own.
    """

    def __init__(self, runner: Any) -> None:
        self._model, self._optimizer = bare_model(runner), runner.optim_wrapper.optimizer
        self._tensors = [*self._model.parameters(), *self._model.buffers()]
        self._values = [tensor.detach().clone() for tensor in self._tensors]
        self._states = {parameter: _copied(state) for parameter, state in self._optimizer.state.items()}
        self._queues = [(queue, list(queue.pending), list(queue.pending_ids)) for queue in queues_of(self._model)]
        self._batches = getattr(self._model, 'batches_since_update', None)

    @torch.no_grad()
    def restore(self) -> None:
        """Return to this state."""
        for tensor, value in zip(self._tensors, self._values, strict=True):
            tensor.copy_(value)
        self._optimizer.state.clear()
        self._optimizer.state.update({parameter: _copied(state) for parameter, state in self._states.items()})
        for queue, keys, ids in self._queues:
            queue.pending, queue.pending_ids = list(keys), list(ids)
        if self._batches is not None:
            self._model.batches_since_update = self._batches


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in state.items()}
