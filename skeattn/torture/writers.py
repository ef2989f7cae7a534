"""Processes that write one file at the same time, while it is read."""

import traceback
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from skeattn.files import write_atomic

LENGTH = 1 << 14
BLOCK = 1 << 10


def write_at_once(path: Path, writes: int, writers: int = 2) -> dict[str, int]:
    """Have several processes write a file of their own letter at the same path.

    Args:
        path: the file.
        writes: of all processes together.
        writers: their number.

    Returns:
        how many ``writes`` were made, how many ``reads`` meanwhile, ``torn`` ones of these, and ``exceptions`` of the
        writers.
    """
    context, letters = get_context('fork'), [bytes([97 + number]) for number in range(writers)]
    pipes = [context.Pipe(duplex=False) for _ in letters]
    group = [
        context.Process(target=_write, args=(path, letter, writes // writers, sender))
        for letter, (_, sender) in zip(letters, pipes, strict=True)
    ]
    for process in group:
        process.start()
    counts = {'writes': writes // writers * writers, 'reads': 0, 'torn': 0, 'exceptions': 0}
    while any(process.is_alive() for process in group):
        if path.exists():
            counts['reads'] += 1
            counts['torn'] += path.read_bytes() not in [letter * LENGTH for letter in letters]
    for process, (receiver, _) in zip(group, pipes, strict=True):
        counts['exceptions'] += receiver.recv() if receiver.poll() else 1
        process.join()
    left = [file for file in path.parent.iterdir() if file != path]
    return {**counts, 'files left': len(left)}


def _write(path: Path, letter: bytes, writes: int, sender: Any) -> None:
    exceptions = 0
    for _ in range(writes):
        try:
            write_atomic(path, lambda file: [file.write(letter * BLOCK) for _ in range(LENGTH // BLOCK)])
        except Exception:
            traceback.print_exc()
            exceptions += 1
    sender.send(exceptions)
