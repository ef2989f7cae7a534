"""Run clips through the pipeline, on all cores if that is faster."""

import ctypes
import mmap
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
import torch

from skeattn.datasets.packed import PackedSet
from skeattn.datasets.transforms import Clip, Pipeline
from skeattn.errors import ConfigError, DataError, SkeAttnError
from skeattn.progress import progress

CLIPS_PER_PROCESS = 4000
"""Fewer clips are prepared faster than a further process starts."""
CHUNK = 128
_PR_SET_PDEATHSIG = 1


def materialise(
    packed: PackedSet, indices: np.ndarray, pipeline: Pipeline, jobs: int | None = None, marked: bool = False
) -> np.ndarray:
    """Clips after the pipeline, the same for any number of processes.

    Args:
        packed: the set.
        indices: of N clips.
        pipeline: ends with ``PackClip``.
        jobs: processes; by default limited by the cores of this process and the number of clips.
        marked: append a channel that is 1 for a joint that is still missing, else 0.

    Returns:
        ``(N, C, T, V, M)`` float32; one channel more with ``marked``.

    Raises:
        DataError: a processed clip is not finite or not of the first clip's shape; gives the first such clip.
        ConfigError: the pipeline does not end with ``PackClip``.
    """
    jobs = _cores(len(indices)) if jobs is None else jobs
    first = run(packed, int(indices[0]), pipeline, marked)
    clips = _shared((len(indices), *first.shape), np.float32, jobs)
    _run_all(partial(_prepare, packed, indices, pipeline, marked, clips), packed, len(indices), jobs)
    return clips


def materialise_native(
    packed: PackedSet, indices: np.ndarray, pipeline: Pipeline, jobs: int | None = None, marked: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Clips after the pipeline at their native length, end to end, the same for any number of processes.

    A clip has as many places as it has stored frames; those that the pipeline leaves unused take no memory.

    Args:
        packed, indices, jobs, marked: see :func:`materialise`.
        pipeline: from :meth:`~skeattn.datasets.transforms.Pipeline.native`.

    Returns:
        frames ``(F, C, V, M)`` float32; first frame and number of frames of each clip, ``(N, 2)`` int64.

    Raises:
        DataError: a processed clip is not finite, differs from the first clip in more than its length, or has more
            frames than are stored; gives the first such clip.
        ConfigError: the pipeline does not end with ``PackClip``.
    """
    jobs = _cores(len(indices)) if jobs is None else jobs
    C, _, V, M = run(packed, int(indices[0]), pipeline, marked).shape
    places = packed.table['frames'][indices].astype(np.int64)
    frames = _shared((int(places.sum()), C, V, M), np.float32, jobs)
    spans = _shared((len(indices), 2), np.int64, jobs)
    spans[:, 0] = np.cumsum(places) - places
    prepare = partial(_prepare_native, packed, indices, pipeline, marked, frames, spans)
    _run_all(prepare, packed, len(indices), jobs)
    return frames, spans


def _run_all(prepare: Callable[[int], None], packed: PackedSet, rows: int, jobs: int) -> None:
    done = map(prepare, range(rows)) if jobs == 1 else _in_processes(prepare, rows, jobs)
    for _ in progress(done, f'preparing clips of {packed.path}', total=rows):
        pass


def run(packed: PackedSet, i: int, pipeline: Pipeline, marked: bool = False) -> np.ndarray:
    """Clip ``i`` after the pipeline, ``(C, T, V, M)``; for ``marked`` see :func:`materialise`."""
    keypoint, name = packed.clip(i), str(packed.table['name'][i])
    facts = {'layout': packed.layout, 'channels': packed.channels, 'name': name, 'total_frames': keypoint.shape[1]}
    return packed_inputs(pipeline({'keypoint': keypoint, **facts}), f'{name} (packed set {packed.path})', marked)


def packed_inputs(clip: Clip, name: str, marked: bool = False) -> np.ndarray:
    """The ``inputs`` ``(C, T, V, M)`` of a clip after the pipeline; for ``marked`` see :func:`materialise`.

    Raises:
        DataError: NaN or infinite values; gives the clip.
        ConfigError: the clip was not packed.
    """
    if 'inputs' not in clip:
        raise ConfigError('the pipeline must end with a PackClip step: pack=dict(type="PackClip", num_persons=...)')
    inputs: np.ndarray = clip['inputs']
    if not np.isfinite(inputs).all():
        raise DataError(f'{name}: NaN or infinite coordinate after the pipeline')
    if marked:  # a custom packing step may not set missing joints
        missing = clip.get('missing', np.zeros(inputs.shape[1:], bool))
        inputs = np.concatenate([inputs, missing[None].astype(np.float32)])
    return inputs


def _prepare(
    packed: PackedSet, indices: np.ndarray, pipeline: Pipeline, marked: bool, clips: np.ndarray, row: int
) -> None:
    i = int(indices[row])
    inputs = run(packed, i, pipeline, marked)
    if inputs.shape != clips.shape[1:]:
        raise DataError(
            f'{packed.table["name"][i]}: shape {inputs.shape} after the pipeline, the previous clips have '
            f'{clips.shape[1:]}; a Resample or PadFrames step brings all clips to the same number of frames'
        )
    clips[row] = inputs


def _prepare_native(
    packed: PackedSet, indices: np.ndarray, pipeline: Pipeline, marked: bool,
    frames: np.ndarray, spans: np.ndarray, row: int,
) -> None:  # fmt: skip
    i = int(indices[row])
    inputs = run(packed, i, pipeline, marked).swapaxes(0, 1)
    length, stored = len(inputs), int(packed.table['frames'][i])
    if inputs.shape[1:] != frames.shape[1:] or length > stored:
        raise DataError(
            f'{packed.table["name"][i]}: {length} frames (C, V, M) = {inputs.shape[1:]} after the pipeline; a clip at '
            f'its native length has at most its {stored} stored frames, {frames.shape[1:]} as the previous clips'
        )
    start = spans[row, 0]
    frames[start : start + length] = inputs
    spans[row, 1] = length


def _cores(clips: int) -> int:
    """Useful number of processes. Forked ones inherit the set, the steps and the result; 1 except on Linux."""
    if sys.platform != 'linux' or multiprocessing.current_process().daemon:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), clips // CLIPS_PER_PROCESS))


def _shared(shape: tuple[int, ...], dtype: type[np.generic], jobs: int) -> np.ndarray:
    """Zeros, shared with forked processes if there are any; memory is taken where they are overwritten."""
    if jobs == 1:
        return np.zeros(shape, dtype)
    size = int(np.prod(shape))
    return np.frombuffer(mmap.mmap(-1, np.dtype(dtype).itemsize * size), dtype, size).reshape(shape)


def _in_processes(prepare: Callable[[int], None], rows: int, jobs: int) -> Iterator[None]:
    """Yield once per row, in order, so that the error is that of the first unusable clip, whichever process met it."""
    context = multiprocessing.get_context('fork')
    pool = ProcessPoolExecutor(jobs, context, _begin, (prepare, os.getpid()))
    try:
        futures: list[Future[int]] = [pool.submit(_chunk, start, rows) for start in range(0, rows, CHUNK)]
        for future in futures:
            yield from [None] * future.result()
    except BrokenProcessPool as error:
        raise SkeAttnError('a process that prepared clips was killed, perhaps for lack of memory') from error
    finally:
        pool.shutdown(cancel_futures=True)


_task: list[Callable[[int], None]] = []


def _begin(prepare: Callable[[int], None], parent: int) -> None:
    """In a new process: inherit the task, compute on one core, end with the parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _task[:] = [prepare]


def _chunk(start: int, rows: int) -> int:
    stop = min(start + CHUNK, rows)
    for row in range(start, stop):
        _task[0](row)
    return stop - start
