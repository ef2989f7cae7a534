"""Helpers that several hooks share: the bare model, the state of optimiser steps, the recorded curves."""

import math
from typing import Any

from mmengine.model import is_model_wrapper

from skeattn.errors import ConfigError

CURVES = 'curves'
EPOCH_LOSSES = 'losses_of_epoch'
"""Facts of a message hub: the curves of a training, and the losses of the epoch in which it is."""


def bare_model(runner: Any) -> Any:
    """The model without its distributed wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def without_work(runner: Any, name: str, why: str) -> ConfigError:
    """The error of a hook, by its name in ``default_hooks``, that has nothing to do for the Runner's model."""
    method = type(bare_model(runner)).__name__
    return ConfigError(f'default_hooks.{name}: {method} {why}; leave the hook out with default_hooks=dict({name}=None)')


def micro_batches(runner: Any) -> int:
    """Batches per optimiser step."""
    return int(runner.optim_wrapper._accumulative_counts)


def stepped(runner: Any) -> bool:
    """After an iteration: whether the optimiser took a step in it, and that step counts."""
    return bool(runner.optim_wrapper.should_update()) and getattr(runner, 'undone', None) != runner.iter


def steps(runner: Any, iterations: int) -> int:
    """Number of optimiser steps in a number of iterations, including a last incomplete one."""
    return math.ceil(iterations / micro_batches(runner))


def curves(runner: Any) -> dict[str, list[float]]:
    """The training's curves by name, which the caller extends; a checkpoint holds them, so resuming continues them."""
    hub = runner.message_hub
    if CURVES not in hub.runtime_info:
        hub.update_info(CURVES, {})
    recorded: dict[str, list[float]] = hub.get_info(CURVES)
    return recorded
