"""Moments of a training at which something happens to its process, counted in events of the training itself."""

import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

EVENTS = ('start', 'iteration', 'evaluation', 'file', 'size')
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Moment:
    """When a process receives a signal.

    Args:
        event: ``'start'`` of the training, ``'iteration'``, ``'evaluation'``, ``'file'`` (an operation on files of the
            work_dir: opened for writing, renamed, removed) or ``'size'`` (a file reaches so many bytes; the process
            dies of SIGXFSZ, as suddenly as of SIGKILL).
        number: of the event, from 0; of ``'size'`` the bytes.
        seconds: from the event to the signal; 0 is at once, within the event.
        signal: its name.
        rank: the process that receives it.
    """

    event: str
    number: int = 0
    seconds: float = 0.0
    signal: str = 'SIGKILL'
    rank: int = 0

    def __str__(self) -> str:
        after = f' + {self.seconds:.3f} s' if self.seconds else ''
        return f'{self.signal} at {self.event} {self.number}{after}, process {self.rank}'


class Fate(Hook):
    """Send the signal of a :class:`Moment` to this process.

    Args:
        moment: None counts the operations on files alone.
        work_dir: whose files count.
    """

    priority = 'VERY_HIGH'

    def __init__(self, moment: Moment | None, work_dir: Path) -> None:
        self._moment, self._folder = moment, str(work_dir)
        self.files = 0
        self._counts = dict.fromkeys(EVENTS, 0)

    def begin(self) -> None:
        """From now on, events count."""
        if self._moment and self._moment.event == 'size':
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._moment.number, resource.RLIM_INFINITY))
        sys.addaudithook(self._audit)
        self._happened('start')

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """An iteration begins."""
        self._happened('iteration')

    def before_val_epoch(self, runner: Any) -> None:
        """An evaluation begins."""
        self._happened('evaluation')

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == 'open':
            changes = isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
        else:
            changes = event in ('os.rename', 'os.remove', 'os.truncate')
        if changes and str(arguments[0]).startswith(self._folder):
            self.files += 1
            self._happened('file')

    def _happened(self, event: str) -> None:
        number = self._counts[event]
        self._counts[event] += 1
        if self._moment and (self._moment.event, self._moment.number) == (event, number):
            send(self._moment.signal, self._moment.seconds)


def send(name: str, seconds: float) -> None:
    """Have this process receive a signal after some seconds, whatever it is doing then."""
    number, process = signal.Signals[name], os.getpid()
    if not seconds:
        os.kill(process, number)
    elif not os.fork():
        time.sleep(seconds)
        if os.getppid() == process:
            os.kill(process, number)
        os._exit(0)
