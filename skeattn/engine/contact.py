"""A process that hangs or has ended is noticed by the others, and named."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from mmengine.dist import get_rank, get_world_size
from torch.distributed import distributed_c10d

from skeattn.engine.heartbeat import Heartbeat
from skeattn.errors import ConfigError, ProcessError, SkeAttnError

USUAL_S, BRIEF_S = 1800, 60
"""Longest wait of a process for another one: in general, and within an epoch."""
ANSWER_S = 10
_LOST = ('Timed out', 'timed out', 'timeout', 'Connection closed', 'Connection reset', 'Broken pipe')


def usual_timeout(dist_cfg: Mapping[str, Any] | None) -> float:
    """The longest wait of a process for another one, ``env_cfg.dist_cfg.timeout`` or half an hour, in seconds.

    Raises:
        ConfigError: it is no number above 0.
    """
    seconds = (dist_cfg or {}).get('timeout')
    if seconds is None:
        return USUAL_S
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise ConfigError(f'env_cfg.dist_cfg.timeout={seconds!r} is a number of seconds above 0')
    return seconds


@contextmanager
def brief_waiting(seconds: float, usual: float = USUAL_S, group: Any = None) -> Iterator[Callable[[], None]]:
    """Within the block a process waits for another one no longer than so many seconds; several processes alone.

    Where the processes are connected by anything else than gloo, a thread watches, and the backend's own timeout, which
    ends a process without a word on the others, is longer.

    Args:
        seconds: longest wait.
        usual: longest wait outside the block.
        group: all processes, connected by gloo; they enter the block together.

    Yields:
        a function that every process calls as often as the others do: it has come further.
    """
    change = getattr(distributed_c10d, '_set_pg_timeout', None)  # of torch, not public; without it the usual one holds
    if get_world_size() == 1 or change is None:
        yield _nothing
    elif dist.get_backend() == 'gloo':
        change(timedelta(seconds=seconds))
        yield _nothing
        change(timedelta(seconds=usual))
    else:
        dist.barrier(group)
        change(timedelta(seconds=seconds + 3 * ANSWER_S))
        store = distributed_c10d._get_default_store()
        with Heartbeat(seconds + ANSWER_S, store, get_rank(), get_world_size()) as heartbeat:
            yield heartbeat.beat
        change(timedelta(seconds=usual))


def _nothing() -> None:
    """Gloo raises an error in the process that waits."""


@contextmanager
def contact(group: Any) -> Iterator[None]:
    """Turn the error of a collective whose other processes do not come into one that names them.

    Args:
        group: all processes, connected by gloo; None for a single one.

    Raises:
        ProcessError: contact with a process was lost.
    """
    try:
        yield
    except SkeAttnError:
        raise
    except RuntimeError as error:
        if group is None or not any(text in str(error) for text in _LOST):
            raise
        raise ProcessError(f'{_absent(group)}; {str(error).splitlines()[0][-120:]}') from error


def _absent(group: Any) -> str:
    """Which processes do not answer, as far as this one can know."""
    try:
        dist.monitored_barrier(group, timeout=timedelta(seconds=ANSWER_S), wait_all_ranks=True)
    except RuntimeError as error:
        found = re.search(r'Ranks? ([\d, ]+) failed to pass', str(error))
        if found:
            which = found[1].strip().strip(',')
            return f'process {which} of {get_world_size()} does not answer: it hangs or has ended, see its output'
        if get_rank() > 0:
            return f'{_own()} waits for others in vain; process 0 names them, unless it hangs or has ended itself'
        return f'{_own()} has lost contact with another one, which has ended; see the output of each'
    return f'{_own()} waited too long for others, which answer again'


def _own() -> str:
    return f'process {get_rank()} of {get_world_size()}'
