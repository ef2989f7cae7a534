"""What a call does: operations, bytes, peak memory."""

import ctypes
import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skeattn.evaluation.complexity import counted_work

FREE = ('empty', '_unsafe_view', 'detach', 'alias', '_local_scalar_dense')
"""Operations that move no data, beside views."""


class Work(NamedTuple):
    """Work of one call.

    Attributes:
        flops: of matrix products, convolutions and attention, two per multiply-accumulate.
        moved: bytes that all operations read and write; what a cache or a fused kernel saves is not subtracted.
        operations: dispatched by torch, without views.
    """

    flops: int = 0
    moved: int = 0
    operations: int = 0


def count(run: Callable[[], object]) -> Work:
    """Call ``run()`` once and count its operations."""
    traffic = Traffic()
    with counted_work() as flops, traffic:
        run()
    return Work(flops.get_total_flops(), traffic.moved, traffic.operations)


class Traffic(TorchDispatchMode):
    """Counts the operations dispatched by torch that move data.

    Attributes:
        moved: bytes that they read and wrote.
        operations: their number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Called by torch for every operation."""
        out = func(*args, **(kwargs or {}))
        if not func.is_view and not func.overloadpacket.__name__.startswith(FREE):
            self.note(func, args, kwargs or {}, out)
        return out

    def note(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> None:
        """Count one operation."""
        self.operations += 1
        self.moved += tensor_bytes((args, kwargs, out))


def tensor_bytes(tree: Any, device: str | None = None) -> int:
    """Bytes of all tensors in nested containers; an expanded tensor counts with its memory.

    Args:
        tree: the containers.
        device: type of the device whose tensors count (all).
    """
    tensors = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
    return sum(
        min(x.numel() * x.element_size(), x.untyped_storage().nbytes())
        for x in tensors
        if device in (None, x.device.type)
    )


def peak_memory(run: Callable[[], object], device: torch.device) -> int:
    """Bytes at the peak of ``run()``: allocated on CUDA; on a CPU what the process grows by, 0 where unknown.

    On Linux the process returns what it holds without use and forgets its earlier peak first.
    """
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device)
    before = _fresh_peak()
    run()
    return max(0, _status('VmHWM') - before) if before else 0


def _fresh_peak() -> int:
    """Let the process return memory and forget its peak; its resident bytes, 0 where the system cannot."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path('/proc/self/clear_refs').write_text('5')
        return _status('VmRSS')
    except (OSError, AttributeError):
        return 0


def _status(field: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f'{field}:'))
