"""One progress line with the remaining time, for work that takes more than a moment."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar('T')


def progress(items: Iterable[T], what: str, total: int | None = None, interval_s: float = 2.0) -> Iterator[T]:
    """Yield the items; after ``interval_s`` seconds, show on stderr how many are done and the time left.

    On a terminal the line is rewritten twice a second; elsewhere (a log file) one is added every ten seconds.

    Args:
        items: the items to iterate over.
        what: description of the work, for example ``'reading clips'``.
        total: number of items, if ``len(items)`` is not defined.
        interval_s: seconds before the first line, so that short work prints nothing.
    """
    total = total if total is not None else len(items)  # type: ignore[arg-type]
    live = sys.stderr.isatty()
    start = time.monotonic()
    due, shown = start + interval_s, False
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now >= due:
            left = (now - start) / done * (total - done)
            line = f'{what}: {done}/{total} ({100 * done // max(total, 1)} %), {duration(left)} left'
            print(f'\r\x1b[K{line}' if live else line, end='' if live else '\n', file=sys.stderr, flush=True)
            due, shown = now + (0.5 if live else 10.0), True
        yield item
    if shown:
        line = f'{what}: {total}/{total}, took {duration(time.monotonic() - start)}'
        print(f'\r\x1b[K{line}' if live else line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}' if hours else f'{minutes}:{seconds:02d}'
