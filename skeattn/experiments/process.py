"""Processes that end with their parent."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from skeattn.errors import SkeAttnError
from skeattn.experiments.training_log import TrainingLog
from skeattn.files import Lock

ONE_THREAD = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
UNBUFFERED = {'PYTHONUNBUFFERED': '1'}
"""Keeps output and errors of Python in the order written, so that a log ends with the error."""
_PR_SET_PDEATHSIG = 1


class Clock:
    """Prints lines with the time since its creation."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    def report(self, text: str) -> None:
        """Print a line without buffering."""
        minutes, seconds = divmod(int(self.seconds), 60)
        print(f'[{minutes}:{seconds:02d}] {text}', flush=True)


class Job:
    """A command in a separate process that does not outlive this one; its output is appended to a file.

    Args:
        name: for messages.
        command: program and arguments.
        log: the file.
        env: changes to the environment.
        keep: a lock that the process holds as well.
        training: the log of a training; None for other commands.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] = ONE_THREAD,
        keep: Lock | None = None,
        training: TrainingLog | None = None,
    ) -> None:
        self.name, self.log, self.training = name, log, training
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open('a') as out:
            self.offset = out.tell()
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **UNBUFFERED, **env},
                pass_fds=[keep.fileno()] if keep else [],
                preexec_fn=_end_with(os.getpid()),
            )

    def text(self) -> str:
        """Its output."""
        with self.log.open(errors='replace') as log:
            log.seek(self.offset)
            return log.read()

    def tail(self, lines: int = 15) -> str:
        """The end of its output."""
        return '\n'.join(self.text().splitlines()[-lines:])

    def progress(self) -> tuple[str, timedelta | None]:
        """A progress text, and the time left if it is known."""
        if self.process.poll() is not None:
            return f'{self.name} done', timedelta()
        state = self.training.state() if self.training else None
        return (f'{self.name} {state}', state.left) if state else (f'{self.name} starting', None)

    def check(self) -> None:
        """Raise a SkeAttnError with the end of its log if it has failed."""
        if self.process.poll():
            status = self.process.returncode
            raise SkeAttnError(f'training {self.name} ended with status {status}; {self.log}:\n{self.tail()}')

    def stop(self, timeout_s: float = 10.0) -> None:
        """Terminate the process, and kill it after ``timeout_s`` seconds; no effect if it has ended."""
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def leave_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, so that ``finally`` blocks run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _end_with(parent: int) -> Callable[[], None] | None:
    """Linux signals a process when its parent dies, even by SIGKILL; other systems rely on the lock that it holds."""
    if sys.platform != 'linux':
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork

    def request_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return request_signal
