"""Trainings in processes of their own, forked from a server that has imported the packages once."""

import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from skeattn import cli
from skeattn.engine import SkeAttnRunner
from skeattn.files import write_json
from skeattn.torture import toy
from skeattn.torture.moments import Fate, Moment

LOG, FACTS = 'output.txt', 'facts.json'
"""What the processes of a run printed, and its duration and operations on files; beside its work_dir."""
PATIENCE_S = 900
"""Longest time that a training of a second may take on a busy machine before it counts as hung."""
GRACE_S = 10
LATE = ('torch._dynamo', 'matplotlib.pyplot')
"""Packages that a training imports only when it needs them, which takes longer than the training."""


@dataclass(frozen=True)
class Mode:
    """How a training is run.

    Args:
        options: overrides of the config, ``__`` for a dot.
        processes: their number.
    """

    options: dict[str, Any] = field(default_factory=dict)
    processes: int = 1


MODES = {
    'plain': Mode(),
    'accumulation': Mode({'optim_wrapper__accumulative_counts': 2}),
    'bf16': Mode({'amp': True}),
    'two processes': Mode(processes=2),
}


def train(config: Path, work_dir: Path, mode: Mode, moment: Moment | None = None, resume: bool = False) -> list[int]:
    """Train in as many processes as the mode has; where one ends early, the others are ended as by torchrun.

    Returns:
        exit status of each; negative numbers are signals.

    Raises:
        TimeoutError: a process hangs.
    """
    context = get_context('forkserver')
    context.set_forkserver_preload([__name__, *LATE])
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    port, group = _free_port(), []
    for rank in range(mode.processes):
        process = context.Process(target=_train, args=(config, work_dir, mode, moment, resume, rank, port))
        process.start()
        group.append(process)
    try:
        return _statuses(group)
    finally:
        for process in group:
            process.kill()
            process.join()


def _statuses(group: list[Any]) -> list[int]:
    deadline, warned = time.monotonic() + PATIENCE_S, False
    while any(process.is_alive() for process in group):
        time.sleep(0.005)
        ended = [process for process in group if process.exitcode not in (None, 0)]
        if ended and not warned:
            warned, deadline = True, time.monotonic() + GRACE_S
            for process in group:
                process.terminate()
        if time.monotonic() > deadline and ended:
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f'a training of a second has not ended within {PATIENCE_S} s')
    return [-signal.SIGKILL if process.exitcode is None else process.exitcode for process in group]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return int(free.getsockname()[1])


def _train(config: Path, work_dir: Path, mode: Mode, moment: Moment | None, resume: bool, rank: int, port: int) -> None:
    with open(work_dir.parent / LOG, 'a') as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    torch.set_num_threads(1)
    options = {**mode.options, 'resume': resume}
    if mode.processes > 1:
        address = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port), 'WORLD_SIZE': str(mode.processes)}
        os.environ.update(address, RANK=str(rank), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(mode.processes))
        options['launcher'] = 'pytorch'
    fate = Fate(moment if moment and moment.rank == rank else None, work_dir)

    def main() -> None:
        try:
            runner = SkeAttnRunner.from_cfg(toy.read(config, work_dir, **options))
            runner.register_hook(fate)
            fate.begin()
            start = time.monotonic()
            runner.train()
        except Exception:
            traceback.print_exc()
            raise
        if rank == 0 and moment is None and not resume:
            facts = {'seconds': time.monotonic() - start, 'files': fate.files}
            write_json(work_dir.parent / FACTS, facts)

    try:
        cli.run(main)
    finally:
        sys.stdout.flush()
