"""The floor of a call: what its operations would take if each ran at the limit of the machine."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from skeattn.benchmark.work import Traffic, tensor_bytes

READS_ROWS = ('index', 'index_select', 'gather', 'embedding', 'take')
WRITES_ROWS = ('index_put_', '_index_put_impl_', 'index_copy_', 'index_add_', 'scatter_', 'scatter_add_')
"""Operations that touch only the chosen rows of their first tensor."""
GIGA = 1e9


class Operation(NamedTuple):
    """One operation dispatched by torch.

    Attributes:
        name: of torch, without overload.
        flops: two per multiply-accumulate, of products and convolutions.
        moved: bytes read and written.
        kind: ``'float32'`` or ``'bfloat16'``, the precision that it computes in.
    """

    name: str
    flops: int
    moved: int
    kind: str = 'float32'


def seconds_at_least(operation: Operation, ceilings: Mapping[str, float]) -> float:
    """The larger of bytes by bandwidth and FLOP by peak.

    Args:
        operation: the operation.
        ceilings: as of :func:`~skeattn.benchmark.ceilings.ceilings`; the faster of product and convolution is the peak.
    """
    peak = max(ceilings[f'{what}_{operation.kind}'] for what in ('matmul', 'convolution'))
    return max(operation.moved / (GIGA * ceilings['copy']), operation.flops / (GIGA * peak))


def floor(operations: Sequence[Operation], ceilings: Mapping[str, float]) -> dict[str, Any]:
    """The floor of a call and what it consists of.

    Returns:
        ``floor_ms``; ``computing_ms`` and ``moving_ms``, the parts of the operations bound by peak and by bandwidth;
        ``flops``, ``bytes``, ``operations``; ``dearest``: the ten names with the largest sums, each ``{'name', 'ms',
        'calls'}``.
    """
    bound = {'computing_ms': 0.0, 'moving_ms': 0.0}
    by_name: dict[str, list[float]] = {}
    for operation in operations:
        taken = 1000 * seconds_at_least(operation, ceilings)
        moving = 1000 * operation.moved / (GIGA * ceilings['copy'])
        bound['computing_ms' if taken > moving else 'moving_ms'] += taken
        by_name.setdefault(operation.name, []).append(taken)
    sums = sorted(by_name.items(), key=lambda item: -sum(item[1]))
    dearest = [{'name': name, 'ms': sum(times), 'calls': len(times)} for name, times in sums[:10]]
    counts = {'flops': sum(o.flops for o in operations), 'bytes': sum(o.moved for o in operations)}
    return {'floor_ms': sum(bound.values()), **bound, **counts, 'operations': len(operations), 'dearest': dearest}


class ListOperations(Traffic):
    """Lists the operations that torch dispatches while it is entered.

    Args:
        device: type of the device; tensors elsewhere, such as clips in host memory, do not count.

    Attributes:
        found: the operations.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.found: list[Operation] = []

    def note(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        """List one operation."""
        name, formula = func.overloadpacket.__name__, flop_registry.get(func.overloadpacket)
        if name in WRITES_ROWS:
            moved = 2 * tensor_bytes((args[1:], kwargs), self.device)
        elif name in READS_ROWS:
            moved = tensor_bytes((args[1:], kwargs, out, out), self.device)
        else:
            moved = tensor_bytes((args, kwargs, out), self.device)
        if moved:
            flops = int(formula(*args, **kwargs, out_val=out)) if formula else 0
            self.found.append(Operation(name, flops, moved, _kind(out)))


def _kind(out: Any) -> str:
    half = (torch.bfloat16, torch.float16)
    return 'bfloat16' if any(isinstance(x, Tensor) and x.dtype in half for x in tree_leaves(out)) else 'float32'
