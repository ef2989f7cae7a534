"""What a GPU does during a call: how much of the time it is busy, and where it waits."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch.profiler import ProfilerActivity, profile

ON_GPU = ('kernel', 'gpu_memcpy', 'gpu_memset')
"""Categories of a trace that occupy the GPU."""
LENGTH = 60
"""Characters of a kernel's name that are kept; templates go on for hundreds."""


class Kernel(NamedTuple):
    """One interval in which the GPU works.

    Attributes:
        name: of the kernel.
        start, end: microseconds.
        operation: of torch, that launched it; '' where unknown.
    """

    name: str
    start: float
    end: float
    operation: str = ''

    @property
    def label(self) -> str:
        """Operation and kernel."""
        return f'{self.operation}: {self.name}' if self.operation else self.name


def kernels_of_trace(trace: Mapping[str, Any]) -> list[Kernel]:
    """The kernels of a trace in the format of Chrome, as the profiler of torch exports it, by their start."""
    events = [event for event in trace['traceEvents'] if event.get('ph') == 'X']
    launched = {
        event['args']['External id']: event['name']
        for event in events
        if event.get('cat') == 'cpu_op' and 'External id' in event.get('args', {})
    }
    kernels = [
        Kernel(
            str(event['name'])[:LENGTH],
            float(event['ts']),
            float(event['ts']) + float(event['dur']),
            launched.get(event.get('args', {}).get('External id'), ''),
        )
        for event in events
        if event.get('cat') in ON_GPU
    ]
    return sorted(kernels, key=lambda kernel: (kernel.start, kernel.end))


def summary(kernels: Sequence[Kernel], calls: int = 1, most: int = 10) -> dict[str, Any]:
    """Busy share, longest kernels and dearest gaps.

    Args:
        kernels: by their start; on several streams they may overlap.
        calls: profiled calls; times are of one call.
        most: rows of the lists.

    Returns:
        ``busy_share`` (union of the intervals by the time from the first start to the last end), ``busy_ms`` and
        ``wall_ms`` of a call, ``kernels`` of a call; ``longest``: ``{'name', 'ms', 'calls'}`` by total time;
        ``gaps``: ``{'before', 'after', 'ms', 'calls'}``, gaps between the same two labels summed.
    """
    busy, end = 0.0, kernels[0].start
    last = kernels[0]
    gaps: dict[tuple[str, str], list[float]] = {}
    totals: dict[str, list[float]] = {}
    for kernel in kernels:
        if kernel.start > end:
            gaps.setdefault((last.label, kernel.label), []).append(kernel.start - end)
        if kernel.end > end:
            busy += kernel.end - max(end, kernel.start)
            end, last = kernel.end, kernel
        totals.setdefault(kernel.label, []).append(kernel.end - kernel.start)
    wall = max(end - kernels[0].start, 1e-9)
    unit = 1000 * calls
    return {
        'busy_share': busy / wall,
        'busy_ms': busy / unit,
        'wall_ms': wall / unit,
        'kernels': len(kernels) / calls,
        'longest': [
            {'name': name, 'ms': sum(times) / unit, 'calls': len(times) / calls} for name, times in _top(totals, most)
        ],
        'gaps': [
            {'before': before, 'after': after, 'ms': sum(times) / unit, 'calls': len(times) / calls}
            for (before, after), times in _top(gaps, most)
        ],
    }


def profiler() -> profile:
    """A profiler of CPU and GPU."""
    return profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])


def kernels_of(stopped: profile) -> list[Kernel]:
    """The kernels that a profiler saw; none where the driver does not allow profiling."""
    with tempfile.TemporaryDirectory(prefix='profile_') as folder:
        file = Path(folder) / 'trace.json'
        stopped.export_chrome_trace(str(file))
        return kernels_of_trace(json.loads(file.read_text(errors='replace')))


def _top(sums: Mapping[Any, list[float]], most: int) -> list[tuple[Any, list[float]]]:
    return sorted(sums.items(), key=lambda item: -sum(item[1]))[:most]
