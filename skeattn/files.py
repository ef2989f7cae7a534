"""Files that are written whole or not at all, their digests, and locks that end with their holder."""

import contextlib
import hashlib
import json
import os
import platform
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from skeattn.progress import progress

try:
    import fcntl
except ModuleNotFoundError:  # pragma: no cover
    raise ModuleNotFoundError(
        'skeattn needs the file locks of Linux or macOS, which this system lacks; on Windows, use WSL'
    ) from None

BLOCK = 1 << 22


def write_atomic(path: str | os.PathLike[str], write: Callable[[BinaryIO], Any]) -> None:
    """Write a file under a temporary name beside it, force it to disk, and rename it: all of it or nothing.

    Several processes can write the same file at once: the last one to finish wins. What a killed process left of the
    same file is removed.

    Args:
        path: the file; an existing one is replaced, a missing folder is created.
        write: called with the open file.

    Raises:
        OSError: the file cannot be written; an existing one is as it was.
    """
    with temporary(path) as scratch:
        with open(scratch, 'wb') as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)


@contextlib.contextmanager
def temporary(path: str | os.PathLike[str], suffix: str = '') -> Iterator[Path]:
    """A name beside ``path`` that no other process uses; what is left under it at the end is removed.

    Args:
        path: the file that is being made.
        suffix: end of the name, for programs that look at it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = f'.{path.name}.{platform.node()}-'
    for left in path.parent.iterdir():
        if left.name.startswith(mark) and not _runs(left.name.removeprefix(mark).partition('-')[0]):
            left.unlink(missing_ok=True)
    scratch = path.with_name(f'{mark}{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp{suffix}')
    try:
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """:func:`write_atomic` for text, as UTF-8."""
    write_atomic(path, lambda file: file.write(text.encode()))


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """:func:`write_atomic` for readable JSON."""
    write_text(path, json.dumps(content, indent=2) + '\n')


def sha256(path: str | os.PathLike[str]) -> str:
    """Digest of a file, read in blocks, with a progress line where that takes long."""
    digest = hashlib.sha256()
    blocks = -(-Path(path).stat().st_size // BLOCK)
    with open(path, 'rb') as file:
        for _ in progress(range(blocks), f'checking {path} in blocks of 4 MB'):
            digest.update(file.read(BLOCK))
        digest.update(file.read())
    return digest.hexdigest()


class Lock:
    """A lock on a file or folder: close it to release it. It ends with the last process that holds it.

    Args:
        descriptor: of the open file that is locked.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor, for a child process that shall hold the lock, too."""
        return self._descriptor

    def close(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> 'Lock':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lock(path: str | os.PathLike[str]) -> Lock:
    """Take the lock of a file, waiting for it; a missing file is created."""
    descriptor = _open(path)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return Lock(descriptor)


def try_lock(path: str | os.PathLike[str], forked: bool = True) -> Lock | None:
    """:func:`lock`, or None where another process holds it.

    Args:
        path: a file, created where it is missing, or an existing folder.
        forked: whether forked processes hold the lock, too.

    Raises:
        OSError: the file system has no locks.
    """
    descriptor = _open(path)
    try:
        (fcntl.flock if forked else fcntl.lockf)(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, (BlockingIOError, PermissionError)):  # held by another process
            return None
        raise
    return Lock(descriptor)


def _open(path: str | os.PathLike[str]) -> int:
    if Path(path).is_dir():
        return os.open(path, os.O_RDONLY)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _runs(process: str) -> bool:
    """Whether a process of this machine is there, by its number as text; a text that is no number counts as one."""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        pass
    return True
