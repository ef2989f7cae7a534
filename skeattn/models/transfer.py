"""From host memory to a device, without waiting."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor

ALIGNMENT = 16
"""Bytes at whose multiples each tensor of a packed copy begins: no element type is larger."""


def moved(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Tensors on a device; those in host memory travel together, in one copy that the host does not wait for.

    On the CPU, and for tensors that are on the device already, nothing is copied. Rows that an ``expand`` repeats
    travel once.
    """
    there = [x.to(device, non_blocking=True) if _stays(x, device) else x for x in tensors]
    packed = [i for i, x in enumerate(tensors) if not _stays(x, device)]
    for i, x in zip(packed, _in_one_copy([tensors[i] for i in packed], device) if packed else (), strict=True):
        there[i] = x
    return there


def moved_values(values: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """:func:`moved` for the values of a mapping."""
    return dict(zip(values, moved(list(values.values()), device), strict=True))


def _stays(x: Tensor, device: torch.device) -> bool:
    return device.type == 'cpu' or x.device.type != 'cpu'


def _in_one_copy(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    rows = [x[:1] if x.ndim and len(x) and x.stride(0) == 0 else x for x in tensors]
    sizes = [x.numel() * x.element_size() for x in rows]
    *starts, total = accumulate((-(-size // ALIGNMENT) * ALIGNMENT for size in sizes), initial=0)
    host = torch.empty(total, dtype=torch.uint8, pin_memory=device.type == 'cuda')
    places = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    for x, place in zip(rows, places, strict=True):
        host[place].view(x.dtype).view(x.shape).copy_(x)
    packed = host.to(device, non_blocking=True)
    return [
        packed[place].view(row.dtype).view(row.shape).expand(x.shape)
        for x, row, place in zip(tensors, rows, places, strict=True)
    ]
