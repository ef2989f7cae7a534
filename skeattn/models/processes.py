"""The global batch, which several processes hold in parts: its rows and its statistics."""

from typing import Any

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor


def gather_rows(x: Tensor) -> Tensor:
    """Rows of all processes in rank order (no gradient flows); ``x`` itself in a single process."""
    return torch.cat(all_gather(x.detach().contiguous())) if get_world_size() > 1 else x


def gather_with_gradient(x: Tensor) -> Tensor:
    """:func:`gather_rows`, but each process receives the gradients that all of them have for its rows."""
    return _Gather.apply(x) if get_world_size() > 1 else x  # type: ignore[no-untyped-call]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return gather_rows(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        all_reduce(total)
        return total.chunk(get_world_size())[get_rank()]


def own_rows(x: Tensor) -> Tensor:
    """The indices, ``(N,)``, of this process's rows among those of all processes."""
    return get_rank() * len(x) + torch.arange(len(x), device=x.device)


def partner_rows(x: Tensor, shift: Tensor) -> Tensor:
    """For each row the one ``shift`` ``(N,)`` places later in the global batch, from any process."""
    rows = gather_rows(x)
    return rows[(own_rows(x) + shift) % len(rows)]


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes; no gradient flows. ``x`` itself in a single process."""
    if get_world_size() == 1:
        return x
    total = x.detach().clone()
    all_reduce(total)
    return total


def mean_over_processes(x: Tensor) -> Tensor:
    """The mean of a tensor over all processes, with a gradient.

    Each process computes the same loss from the mean, and distributed training averages the gradients of all. So the
    gradient of a process is passed to its own part as it is, not divided: the average divides it.
    """
    if get_world_size() == 1:
        return x
    mean = x.detach().clone()
    all_reduce(mean, op='mean')
    return x + (mean - x.detach())
