"""Temporary folders beside a record: a result appears complete or not at all."""

import contextlib
import glob
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmengine.dist import barrier, is_main_process

from skeattn.files import try_lock


@contextlib.contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside a record, locked while it is used; all processes call it.

    The first process removes folders that killed processes left for the same record.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if is_main_process():
        sweep(out)
    barrier()
    with tempfile.TemporaryDirectory(prefix=f'.{out.stem}.', dir=out.parent) as folder, locked(Path(folder)):
        yield Path(folder)


def sweep(out: Path) -> None:
    """Remove the scratch folders that killed processes left for a record; folders in use are locked and stay."""
    for folder in out.parent.glob(f'.{glob.escape(out.stem)}.????????'):
        with contextlib.suppress(FileNotFoundError), locked(folder) as taken:
            if taken:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder; it ends with the process.

    Yields:
        whether it was taken: False if another process holds it, or on a file system without locks.
    """
    lock = None
    with contextlib.suppress(OSError):
        lock = try_lock(folder)
    try:
        yield lock is not None
    finally:
        if lock:
            lock.close()
