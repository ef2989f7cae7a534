"""Several processes: started as a user starts them, or all at once from one that has imported the packages."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import torch
from torch.multiprocessing.spawn import start_processes

from tests.conftest import ROOT


def launch(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    env = {**os.environ, 'PYTHON': sys.executable, **environment}
    return subprocess.run([str(ROOT / 'tools' / script), *map(str, arguments)], env=env, capture_output=True, text=True)


def two_processes(main: Callable[..., None], *arguments: Any) -> None:
    """Call ``main(*arguments)`` in two processes, see :func:`processes`."""
    processes(2, main, *arguments)


def processes(count: int, main: Callable[..., None], *arguments: Any) -> None:
    """Call ``main(*arguments)`` in several processes, with the environment that torchrun gives them.

    They are forked from a server that has imported the packages once; an exception in one of them is raised here.
    """
    get_context('forkserver').set_forkserver_preload([main.__module__])
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        address = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free.getsockname()[1])}
    address |= {'WORLD_SIZE': str(count), 'LOCAL_WORLD_SIZE': str(count)}
    start_processes(_on_rank, (address, main, arguments), nprocs=count, start_method='forkserver')


def _on_rank(rank: int, address: dict[str, str], main: Callable[..., None], arguments: tuple) -> None:
    os.environ.update(address, RANK=str(rank), LOCAL_RANK=str(rank))
    torch.set_num_threads(1)
    try:
        main(*arguments)
    finally:
        if torch.distributed.is_initialized():  # a thread of gloo would abort the end of the interpreter
            torch.distributed.destroy_process_group()
