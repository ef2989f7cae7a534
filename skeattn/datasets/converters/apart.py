"""Reading in a process of its own, with libraries in C that damaged bytes make hang, crash or take any memory."""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar('T')
SECONDS = 10
"""Time of the processor that one file may take."""
MEMORY = 4 << 30
"""Bytes that one file may take beyond what the packages took."""


class Apart:
    """Calls functions in another process, which is started by the first call and after one that ended it."""

    def __init__(self) -> None:
        self._owner = 0
        self._connection: Any = None

    def __call__(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function of a module, whose arguments and result can be pickled.

        Raises:
            ValueError: the function ended its process, or took too long.
            Exception: of the function.
        """
        connection = self._connected()
        try:
            connection.send((function, arguments))
            error, result = connection.recv()
        except (EOFError, OSError) as ended:
            self._connection = None
            connection.close()
            raise ValueError(f'reading it crashed, or took more than {SECONDS} seconds') from ended
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _connected(self) -> Any:
        if self._connection is None or self._owner != os.getpid():  # a fork has a process of its own
            context: Any = multiprocessing.get_context('fork' if sys.platform == 'linux' else 'spawn')
            self._connection, other = context.Pipe()
            self._owner = os.getpid()
            context.Process(target=_serve, args=(other,), daemon=True).start()
            other.close()
        return self._connection


def _serve(connection: Connection) -> None:
    """Answer calls until the process that sends them has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that process receives it, too
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    if sys.platform == 'linux':
        # A fork holds the pipes of its parent, and whoever waits for the end of one of them would wait for the fork.
        os.closerange(3, connection.fileno())
        os.closerange(connection.fileno() + 1, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 20))
        with open('/proc/self/statm') as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            answer: tuple[Exception | None, Any] = None, function(*arguments)
        except Exception as error:
            answer = ValueError(repr(error)), None  # not every error can be pickled
        connection.send(answer)
