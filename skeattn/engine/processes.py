"""What each process of a training has of its own: histories of scalars, and BatchNorm statistics within an epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from skeattn.engine.hooks.steps import bare_model
from skeattn.engine.message_hub import hub_state, restore_hub


def process_states(runner: Any) -> list[dict[str, Any]] | None:
    """The states of all processes in rank order; all of them call it. None for one process, which has nothing apart.

    Returns:
        of each process ``scalars``, its histories as in :func:`~skeattn.engine.message_hub.hub_state`, and
        ``statistics``, running means and variances of its BatchNorm layers end to end.
    """
    if get_world_size() == 1:
        return None
    own = {
        'scalars': hub_state(runner.message_hub)['log_scalars'],
        'statistics': torch.cat([torch.zeros(0), *(buffer.cpu() for buffer in statistics_of(runner))]),
    }
    return all_gather_object(own)


def restore_processes(runner: Any, checkpoint: Mapping[str, Any]) -> None:
    """Continue with this process's own state; processes of another number each begin with the mean of all."""
    states = checkpoint.get('processes')
    if not states:
        return
    own = states[get_rank()] if len(states) == get_world_size() else _mean(states)
    restore_hub(runner.message_hub, {**checkpoint['message_hub'], 'log_scalars': own['scalars']})
    buffers = statistics_of(runner)
    for buffer, values in zip(buffers, own['statistics'].split([len(buffer) for buffer in buffers]), strict=True):
        buffer.copy_(values)


def statistics_of(runner: Any) -> list[Tensor]:
    """Running mean and variance of every BatchNorm layer."""
    layers = [m for m in bare_model(runner).modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    return [buffer for layer in layers for buffer in (layer.running_mean, layer.running_var) if buffer is not None]


def _mean(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = states[0]['scalars']
    shared = {
        name: {**item, 'values': torch.tensor([state['scalars'][name]['values'] for state in states]).mean(0).tolist()}
        for name, item in first.items()
        if all(len(state['scalars'].get(name, {}).get('values', ())) == len(item['values']) for state in states)
    }
    statistics = torch.stack([state['statistics'] for state in states]).mean(dim=0)
    return {'scalars': {**first, **shared}, 'statistics': statistics}
