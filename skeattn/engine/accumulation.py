"""The state of an incomplete optimiser step (gradients and keys of its batches) and of an incomplete epoch (losses)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor

from skeattn.engine.hooks.steps import EPOCH_LOSSES, bare_model, micro_batches, stepped
from skeattn.models.processes import gather_rows
from skeattn.models.queue import queues_of


def pending_state(runner: Any) -> dict[str, Any] | None:
    """Gradients and keys of the batches since the last optimiser step; all processes call it, after an iteration.

    Returns:
        ``gradients``: name of a parameter -> one tensor for each process; ``keys``, ``ids``: for each queue the keys of
        every batch and the ids of their clips, rows of all processes in rank order; ``micro_batches``: batches of a
        whole step. None after a step.
    """
    if micro_batches(runner) == 1 or stepped(runner):
        return None
    model = bare_model(runner)
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {
        'micro_batches': micro_batches(runner),
        'gradients': _of_all_processes(gradients),
        'keys': [[gather_rows(keys) for keys in queue.pending] for queue in queues_of(model)],
        'ids': [[gather_rows(ids) for ids in queue.pending_ids] for queue in queues_of(model)],
        'batches_since_update': getattr(model, 'batches_since_update', None),
    }


def unfinished_epoch(runner: Any) -> dict[str, Any]:
    """Losses of the iterations of an epoch so far, of each process; all processes call it."""
    losses = runner.message_hub.runtime_info.get(EPOCH_LOSSES) or []
    own = torch.stack(losses) if losses else torch.zeros(0, dtype=torch.float64)
    return {'losses': all_gather(own) if get_world_size() > 1 else [own]}


def restore_unfinished(runner: Any, checkpoint: Mapping[str, Any]) -> None:
    """Continue an incomplete epoch of a checkpoint; other processes than then each begin with the mean of all."""
    state = checkpoint.get('unfinished')
    if state is None or runner.iter <= runner.epoch * len(runner.train_dataloader):
        return
    ranks = state['losses']
    own = ranks[get_rank()] if len(ranks) == get_world_size() else torch.stack(ranks).mean(dim=0)
    if len(own):
        runner.message_hub.update_info(EPOCH_LOSSES, list(own.to(next(bare_model(runner).parameters()).device)))


def restore_pending(runner: Any, checkpoint: Mapping[str, Any], changed: Sequence[str]) -> None:
    """Continue an incomplete optimiser step of a checkpoint; report batches that are lost.

    Args:
        runner: the Runner, with its progress restored.
        checkpoint: the checkpoint that it resumes from.
        changed: keys in which the config differs.
    """
    state, counts, iteration = checkpoint.get('pending'), micro_batches(runner), checkpoint['meta']['iter']
    if state is None:
        left = iteration % counts
        if left and 'pending' in checkpoint:
            runner.logger.info(f'the last optimiser step of the checkpoint took {left} of {counts} batches')
        elif left:
            runner.logger.warning(
                f'the checkpoint is of an earlier version, which did not keep the gradients and keys of an incomplete '
                f'optimiser step: {left} batches are lost'
            )
        return
    if state['micro_batches'] != counts or runner.iter != iteration or any(k.startswith('model.') for k in changed):
        runner.logger.warning(
            'the gradients and keys of an incomplete optimiser step are dropped, since its batches or its loss changed'
        )
        return
    model, world, rank = bare_model(runner), get_world_size(), get_rank()
    for name, parameter in model.named_parameters():
        if name in state['gradients']:
            ranks = state['gradients'][name]
            gradient = ranks[rank] if len(ranks) == world else torch.stack(ranks).mean(dim=0)
            parameter.grad = gradient.to(parameter)
    queues = queues_of(model)
    for queue, keys, ids in zip(queues, state['keys'], state.get('ids', [[]] * len(queues)), strict=True):
        queue.pending, queue.pending_ids = (
            [batch.chunk(world)[rank].to(queue.keys.device) for batch in batches] for batches in (keys, ids)
        )
    if state['batches_since_update'] is not None:
        model.batches_since_update = state['batches_since_update']


def _of_all_processes(tensors: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
    """For each tensor a list with the tensors of all processes, exchanged in one message."""
    if get_world_size() == 1:
        return {name: [value] for name, value in tensors.items()}
    ranks = all_gather(torch.cat([value.flatten() for value in tensors.values()]))
    sizes = [value.numel() for value in tensors.values()]
    parts = [flat.split(sizes) for flat in ranks]
    return {name: [part[i].view_as(value) for part in parts] for i, (name, value) in enumerate(tensors.items())}
