"""The folder of a training: its default, whether it can be used, who uses it, and what a failed start leaves."""

import contextlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process

from skeattn.checkpoint import find_newest
from skeattn.errors import ConfigError, SkeAttnError
from skeattn.files import Lock, try_lock
from skeattn.reading import read_json

LOCK = '.running'
"""File that a training locks in its work_dir; it names the process."""


def default_work_dir(config: str) -> Path:
    """A separate folder for every config: configs of two methods often have the same name."""
    path = Path(config).with_suffix('')
    inside = path.parts[len(path.parts) - path.parts[::-1].index('configs') :] if 'configs' in path.parts else ()
    return Path('work_dirs', *(inside or (path.name,)))


def check_work_dir(path: Path) -> None:
    """Refuse a path that is no writable folder and cannot become one.

    Raises:
        ConfigError: such a path.
    """
    nearest = next(folder for folder in (path.absolute(), *path.absolute().parents) if os.path.lexists(folder))
    if not nearest.is_dir():
        raise ConfigError(f'work_dir={str(path)!r} must be a folder; {nearest} is a file')
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f'work_dir={str(path)!r} must be a folder that you can write; {nearest} is not')


@contextmanager
def alone_in(work_dir: Path) -> Iterator[None]:
    """A training in a folder that no other training uses meanwhile; all its processes call it.

    The lock ends with the process that holds it, however that ends.

    Raises:
        ConfigError: another training runs there; names its process.
    """
    lock: Lock | None = None
    shared: list[str | None] = [None]
    if is_main_process():
        lock, shared[0] = _take(work_dir)
    broadcast_object_list(shared)
    if shared[0] is not None:
        raise ConfigError(
            f'{work_dir} is the folder of a training that is still running: {shared[0]}. '
            f'Choose another one with --work-dir, or end that training first'
        )
    try:
        yield
    finally:
        if lock is not None:
            (work_dir / LOCK).unlink(missing_ok=True)
            lock.close()


def _take(work_dir: Path) -> tuple[Lock | None, str | None]:
    """The lock on a folder, or who holds it; neither if the file system has no locks."""
    path = work_dir / LOCK
    try:
        lock = try_lock(path)
    except OSError:
        return None, None
    if lock is None:
        try:
            holder = read_json(path)
            return None, f'process {holder["process"]} on {holder["host"]}, since {holder["since"]}'
        except (OSError, ValueError, KeyError, TypeError):  # it has only just begun
            return None, 'by an unnamed process'
    facts = {'process': os.getpid(), 'host': platform.node(), 'since': time.strftime('%Y-%m-%d %H:%M:%S')}
    os.ftruncate(lock.fileno(), 0)
    os.pwrite(lock.fileno(), json.dumps(facts).encode(), 0)
    return lock, None


@contextmanager
def failed_start_removed(work_dir: Path) -> Iterator[None]:
    """Remove the new folders of a training that ends with a user error before its first step."""
    made = [folder for folder in (work_dir, *work_dir.parents) if not folder.exists()]
    before = {path.name for path in work_dir.iterdir()} if work_dir.is_dir() else set()
    try:
        yield
    except SkeAttnError:
        new = [path for path in work_dir.iterdir() if path.name not in before] if work_dir.is_dir() else []
        logs = [path for path in new if re.fullmatch(r'\d{8}_\d{6}(_\d+)?', path.name)]
        started = any((log / 'vis_data/scalars.json').exists() for log in logs) or find_newest(work_dir) is not None
        if not started and is_main_process():
            for path in new:
                if path in logs:
                    shutil.rmtree(path)
                elif path.suffix == '.py':
                    path.unlink()
            for folder in made:
                with contextlib.suppress(OSError):  # something else is in it
                    folder.rmdir()
        raise
