"""Signals that ask a training to end: a closed terminal, Ctrl-C, preemption, a scheduler's warning."""

import os
import signal
import threading
from datetime import timedelta
from types import FrameType, TracebackType
from typing import Any

import torch
from mmengine.dist import get_world_size

from skeattn.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Ctrl-C; preemption; a closed terminal; the warning that Slurm sends with ``signal=USR1@120``."""
LOOK = 10
"""Iterations between two agreements of several processes."""


class StopRequest:
    """The first signal is kept until the training has reached a state that can be saved; a second one ends at once.

    As a context manager it handles :data:`SIGNALS` within the block, in the main thread. A signal that the parent
    process has set to be ignored (``nohup``) stays ignored.

    Args:
        seconds: longest time that a process waits for the others to agree.

    Attributes:
        group: all processes, connected by gloo; None for a single one.
        received: the signal that this process received; None before.
        deferred: whether a signal is kept. Otherwise, as in an evaluation, it raises
            :class:`~skeattn.errors.Interrupted` at once.
    """

    def __init__(self, seconds: float = 1800) -> None:
        self.received: int | None = None
        self.deferred = False
        self._before: dict[int, Any] = {}
        self.group: Any = None
        self._timeout = timedelta(seconds=seconds)

    def __enter__(self) -> 'StopRequest':
        if get_world_size() > 1:  # on the CPU: nothing waits on the accelerators
            self.group = torch.distributed.new_group(backend='gloo', timeout=self._timeout)
        if threading.current_thread() is threading.main_thread():
            handled = [number for number in SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
            self._before = {number: signal.signal(number, self._receive) for number in handled}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        if self.group is not None and kind is None:
            torch.distributed.destroy_process_group(self.group)

    def requested(self, iteration: int | None = None) -> int | None:
        """The signal that a process has received; all processes call it, and all receive the same answer.

        Args:
            iteration: number of the present one. Several processes ask each other every :data:`LOOK` iterations; None
                asks now.
        """
        if self.group is None:
            return self.received
        if iteration is not None and iteration % LOOK:
            return None
        number = torch.tensor(self.received or 0)
        torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX, self.group)
        return int(number) or None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        self.received = number
        if not self.deferred:
            raise Interrupted('', number)
        # No logging here: the signal may have come while the log was being written.
        text = f'{signal.Signals(number).name}: a checkpoint follows, then the training ends; again to end at once\n'
        os.write(2, text.encode())

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
