"""Alternatives of the same work, timed in turn within one process."""

import gc
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skeattn.benchmark.work import Work, count, peak_memory

Row = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One way to do the work of a group.

    Args:
        name: of the row.
        run: does the work once.
        units: what one call processes, in the unit of the group.
        moved: bytes that the work has to read and write; None: what the operations of torch read and write, counted.
        counted: count operations at all; False for work outside torch.
    """

    name: str
    run: Callable[[], object]
    units: int
    moved: int | None = None
    counted: bool = True


@dataclass(frozen=True)
class Group:
    """Variants that do the same work; the ratios are to the first.

    Args:
        title: of the group.
        variants: at least one.
        unit: what is counted per second.
    """

    title: str
    variants: Sequence[Variant]
    unit: str = 'clips'


class Clock:
    """Seconds of a call: by events on CUDA, else CPU time of this process and its children, or time on the wall.

    CPU time excludes the waiting on a busy machine; with several threads it is the sum over them, so the wall is read.

    Args:
        device: ``'cpu'``, ``'cuda'``, ...
        threads: of torch.

    Attributes:
        name: what the clock shows.
    """

    def __init__(self, device: str, threads: int = 1) -> None:
        self.device = torch.device(device)
        cpu = 'CPU seconds of the process' if threads == 1 else 'seconds on the wall'
        self.name = {'cuda': 'CUDA events', 'cpu': cpu}.get(self.device.type, 'seconds on the wall')

    def seconds(self, run: Callable[[], object]) -> float:
        """The time that ``run()`` takes."""
        if self.name == 'CUDA events':
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            start.record()
            run()
            end.record()
            torch.cuda.synchronize()
            return start.elapsed_time(end) / 1000
        now = cpu_seconds if self.name.startswith('CPU') else time.perf_counter
        begin = now()
        run()
        return now() - begin


def cpu_seconds() -> float:
    """CPU time so far, of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure_group(group: Group, rounds: int, clock: Clock) -> list[Row]:
    """Rows of a group: one call counted, one for the memory, then ``rounds`` of all variants in turn.

    Every row has ``name``, ``unit``, ``median_ms low_ms high_ms`` (median and quartiles), ``ratio ratio_low
    ratio_high`` (how many times faster than the first, of the pairs of each round) and ``per_second``. Where they are
    known also ``gflops`` and ``gbytes`` per second, ``operations`` of torch, and ``peak_mib``, memory at the peak.
    """
    works = [count(variant.run) if variant.counted else Work() for variant in group.variants]
    peaks = [peak_memory(variant.run, clock.device) for variant in group.variants]
    gc.collect()
    times = [[clock.seconds(variant.run) for variant in group.variants] for _ in range(rounds)]
    taken = np.maximum(np.array(times), 1e-9)  # (rounds, variants)
    rows: list[Row] = []
    for i, variant in enumerate(group.variants):
        row: Row = {'name': variant.name, 'unit': group.unit}
        row |= _quartiles(1000 * taken[:, i], 'low_ms', 'median_ms', 'high_ms')
        row |= _quartiles(taken[:, 0] / taken[:, i], 'ratio_low', 'ratio', 'ratio_high')
        seconds = row['median_ms'] / 1000
        moved = works[i].moved if variant.moved is None else variant.moved
        row['per_second'] = variant.units / seconds
        optional = {
            'gflops': works[i].flops / seconds / 1e9,
            'gbytes': moved / seconds / 1e9,
            'operations': works[i].operations,
            'peak_mib': peaks[i] / 2**20,
        }
        rows.append(row | {key: value for key, value in optional.items() if value > 0})
    return rows


def _quartiles(values: np.ndarray, *names: str) -> dict[str, float]:
    return dict(zip(names, np.percentile(values, (25, 50, 75)).tolist(), strict=True))
