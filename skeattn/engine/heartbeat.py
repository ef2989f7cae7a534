"""On accelerators, where a wait for another process cannot be interrupted: a thread that sees who stays behind.

A process waits for the results of NCCL deep within CUDA, where no exception reaches it; NCCL itself ends it after its
timeout, without a word on whom it waited for. So each process publishes how far it is, and a thread compares.
"""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

LOOK_S = 1.0
"""Seconds between two looks."""


def _end(message: str) -> None:
    os.write(2, f'error: {message}\n'.encode())
    os._exit(1)


class Heartbeat:
    """Within the block a thread watches; :meth:`beat` says that this process has come further.

    Args:
        seconds: without a beat, after which the others' progress is compared.
        store: where the processes publish theirs: any store of torch.
        rank, world_size: of this process, and their number.
        end: called with a message if this process waits for others; by default it prints it and ends the process.
    """

    def __init__(
        self, seconds: float, store: Any, rank: int, world_size: int, end: Callable[[str], None] = _end
    ) -> None:
        self.seconds, self.store, self.rank, self.world_size, self.end = seconds, store, rank, world_size, end
        self._count, self._since = 0, time.monotonic()
        self._left = threading.Event()

    def beat(self) -> None:
        """This process has come further; all processes call it equally often."""
        self._count, self._since = self._count + 1, time.monotonic()

    def __enter__(self) -> 'Heartbeat':
        self._since = time.monotonic()
        self._left.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()

    def _watch(self) -> None:
        published = -1
        while not self._left.wait(LOOK_S):
            try:
                if published != self._count:
                    published = self._count
                    self.store.set(_key(self.rank), str(published))
                if time.monotonic() - self._since > self.seconds:
                    message = self._behind()
                    if message and not self._left.is_set():
                        self.end(message)
                        return
            except RuntimeError:  # the process that holds the store has ended
                if time.monotonic() - self._since > self.seconds and not self._left.is_set():
                    self.end(
                        f'process {self.rank} of {self.world_size} has lost contact with process 0, which has ended'
                    )
                    return

    def _behind(self) -> str | None:
        """Which processes are behind this one; None where none is, as in an iteration that is long for all of them."""
        counts = {rank: int(self.store.get(_key(rank))) for rank in range(self.world_size)}
        behind = [str(rank) for rank, count in counts.items() if count == min(counts.values()) < self._count]
        if not behind:
            return None
        which = f'process {", ".join(behind)} of {self.world_size} does not answer: it hangs or has ended'
        return f'{which}, see its output; process {self.rank} has waited {self.seconds:.0f} seconds'


def _key(rank: int) -> str:
    return f'skeattn/heartbeat/{rank}'
