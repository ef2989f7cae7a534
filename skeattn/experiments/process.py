"""Processes that end with their parent."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from skeattn.errors import SkeAttnError
from skeattn.files import Lock

ONE_THREAD = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
_PR_SET_PDEATHSIG = 1


class Clock:
    """Says lines with the time since it was made."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.start

    def say(self, text: str) -> None:
        """Print a line, at once."""
        minutes, seconds = divmod(int(self.seconds), 60)
        print(f'[{minutes}:{seconds:02d}] {text}', flush=True)


class Job:
    """A command in a process of its own that does not outlive this one; what it prints is added to a file.

    Args:
        name: what messages call it.
        command: program and arguments.
        log: the file.
        env: changes to the environment.
        keep: a lock that the process shall hold, too.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] = ONE_THREAD,
        keep: Lock | None = None,
    ) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open('a') as out:
            self.offset = out.tell()
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                pass_fds=[keep.fileno()] if keep else [],
                preexec_fn=_end_with(os.getpid()),
            )

    def text(self) -> str:
        """What it printed."""
        with self.log.open(errors='replace') as log:
            log.seek(self.offset)
            return log.read()

    def tail(self, lines: int = 15) -> str:
        """The end of what it printed."""
        return '\n'.join(self.text().splitlines()[-lines:])

    def progress(self) -> tuple[str, timedelta | None]:
        """How far a training is, as its log says, and the time left where that is known."""
        found = re.findall(r'Epoch\(train\)\s+\[(\d+)\]\[.*?eta: (.+?)  .*? loss: (\S+)', self.text())
        if self.process.poll() is not None:
            return f'{self.name} done', timedelta()
        if not found:
            return f'{self.name} starting', None
        epoch, eta, loss = found[-1]
        return f'{self.name} epoch {epoch}, loss {loss}, {eta} left', _duration(eta)

    def check(self) -> None:
        """Raise if it has failed, with the end of its log."""
        if self.process.poll():
            status = self.process.returncode
            raise SkeAttnError(f'training {self.name} ended with status {status}; {self.log}:\n{self.tail()}')

    def stop(self, patience: float = 10.0) -> None:
        """End it, by force after ``patience`` seconds; nothing happens where it has ended."""
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def leave_on_sigterm() -> None:
    """Have SIGTERM end this process by SystemExit, so that ``finally`` blocks run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _end_with(parent: int) -> Callable[[], None] | None:
    """Linux tells a process when its parent died, even by SIGKILL; elsewhere the lock that it holds has to do."""
    if sys.platform != 'linux':
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _duration(text: str) -> timedelta:
    """'0:04:26' or '1 day, 0:04:26'."""
    days, _, clock = text.rpartition(', ')
    hours, minutes, seconds = map(int, clock.split(':'))
    return timedelta(int(days.split()[0]) if days else 0, seconds, minutes=minutes, hours=hours)
