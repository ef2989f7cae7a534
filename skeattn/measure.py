"""Time and peak memory of a piece of work, in a fresh process."""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skeattn.errors import DataError


def measure(work: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Run ``work(*arguments)`` in a separate process; both must be picklable.

    Returns:
        ``seconds``; ``peak_bytes``, resident memory of the largest process; ``result``, the return value of ``work``.

    Raises:
        DataError: the process ended without a result; its stderr gives the reason.
    """
    context = multiprocessing.get_context('spawn')
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_timed, args=(sender, work, *arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise DataError(f'the measured process ended without a result, see above ({work.__name__})') from None
    finally:
        process.join()


def _timed(sender: Any, work: Callable[..., Any], *arguments: Any) -> None:
    start = time.perf_counter()
    result = work(*arguments)
    seconds = time.perf_counter() - start
    peak = max(own_peak(), usage(resource.RUSAGE_CHILDREN))
    sender.send({'seconds': seconds, 'peak_bytes': peak, 'result': result})


def own_peak() -> int:
    """Peak memory of this process. On Linux, ``getrusage`` would start from the peak of the parent process."""
    status = Path('/proc/self/status')
    if not status.exists():
        return usage(resource.RUSAGE_SELF)
    return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith('VmHWM'))


def usage(who: int) -> int:
    """Largest resident set in bytes, of this process or its children."""
    unit = 1 if sys.platform == 'darwin' else 1024  # macOS counts in bytes
    return unit * resource.getrusage(who).ru_maxrss
