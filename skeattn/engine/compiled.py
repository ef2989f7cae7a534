"""A method's loss as one compiled graph, which a GPU replays in every step: the switch ``compile``."""

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.queue import FeatureQueue, queues_of

REPLAYED = ('reduce-overhead', 'max-autotune')
"""Modes in which a GPU replays one recording (a CUDA graph), always in the same memory."""


def compile_settings(
    switch: bool | Mapping[str, Any] | None, device: torch.device, micro_batches: int = 1
) -> dict[str, Any] | None:
    """The arguments of ``torch.compile`` for a value of ``compile``; None if it is off.

    ``True``: replayed on a GPU, torch's default mode elsewhere. A dict: arguments that replace the defaults. The losses
    have to be one graph (``fullgraph``), which is compiled for the shapes of the batch (not ``dynamic``).

    Args:
        switch: the value.
        device: where the model is.
        micro_batches: batches per optimiser step.

    Raises:
        ConfigError: gradients that a replay overwrites would have to last for several batches.
    """
    if switch is None or switch is False:
        return None
    chosen = {} if switch is True else dict(switch)
    if device.type == 'cuda' and not chosen.keys() & {'mode', 'backend', 'options'}:
        chosen['mode'] = 'reduce-overhead'
    if device.type == 'cuda' and micro_batches > 1 and chosen.get('mode') in REPLAYED:
        raise ConfigError(
            f'compile: mode {chosen["mode"]!r} computes the gradients of every batch in the same memory, so '
            f'optim_wrapper.accumulative_counts={micro_batches} would lose them; set compile=dict(mode="default")'
        )
    return {'fullgraph': True, 'dynamic': False, **chosen}


def compile_loss(model: nn.Module, settings: Mapping[str, Any]) -> None:
    """Let a model compute its losses by :class:`CompiledLoss` from now on; its parameters keep their names.

    Args:
        model: a method, wrapped for several processes or not.
        settings: arguments of ``torch.compile``.

    Raises:
        ConfigError: torch refuses the settings, or the model has no ``loss``.
    """
    bare: Any = model
    if is_model_wrapper(model):  # else torch cuts the graph at its buckets of gradients, where ours cannot be cut
        torch._dynamo.config.optimize_ddp = False  # type: ignore[attr-defined]
        bare = model.module
    if not hasattr(bare, 'loss'):
        raise ConfigError(f'compile: {type(bare).__name__} has no method loss(inputs) to compile; set compile=None')
    if not isinstance(bare.loss, CompiledLoss):
        bare.loss = CompiledLoss(bare, settings)


class CompiledLoss:
    """The losses of a method, compiled at the first batch and once more for every other shape or phase of training.

    A replayed graph overwrites its results in the next step. Whatever outlives a step is therefore copied: the staged
    keys and the losses. The graph always stages into empty queues, so it does not depend on how many keys wait.

    Args:
        model: the method.
        settings: arguments of ``torch.compile``.

    Raises:
        ConfigError: torch refuses the settings or, when the losses are first computed, the code of the method.
    """

    def __init__(self, model: Any, settings: Mapping[str, Any]) -> None:
        self._name = type(model).__name__
        self._queues: list[FeatureQueue] = queues_of(model)
        try:
            self._compiled = torch.compile(model.loss, **settings)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f'compile={dict(settings)}: {_first_line(error)}') from error

    def __call__(self, *inputs: Any) -> dict[str, Any]:
        """The losses of the method."""
        waiting = [(queue.pending, queue.pending_ids) for queue in self._queues]
        for queue in self._queues:
            queue.pending, queue.pending_ids = [], []
        torch.compiler.cudagraph_mark_step_begin()
        losses = self._run(inputs)
        for queue, earlier in zip(self._queues, waiting, strict=True):
            staged = zip_longest(queue.pending, queue.pending_ids)
            queue.pending, queue.pending_ids = earlier
            for keys, ids in staged:
                queue.stage(keys.clone(), None if ids is None else ids.clone())
        return {name: value.clone() if isinstance(value, Tensor) else value for name, value in losses.items()}

    def _run(self, inputs: tuple[Any, ...]) -> dict[str, Any]:
        try:
            losses: dict[str, Any] = self._compiled(*inputs)
        except torch._dynamo.exc.TorchDynamoException as error:  # type: ignore[attr-defined]
            raise ConfigError(
                f'compile: torch cannot compile the loss of {self._name} as configured: {_first_line(error)}; '
                f'{_where(error)}set compile=None. model.persons="present" and a method whose loss reads values cannot '
                f'be compiled'
            ) from error
        return losses


def _first_line(error: BaseException) -> str:
    return str(error).strip().split('\n')[0] or type(error).__name__


def _where(error: BaseException) -> str:
    """The last place in the user's code that torch names."""
    places = [line.strip() for line in str(error).split('\n') if line.lstrip().startswith('File "')]
    return f'at {places[-1]}; ' if places else ''
