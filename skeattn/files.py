"""Files that are written whole or not at all, their digests, and locks that end with their holder."""

import contextlib
import hashlib
import json
import os
import platform
import re
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
    """Write a file: all of it or nothing.

    Several processes can write the same file at once: the last one to finish wins.

    Args:
        path: the file; an existing one is replaced, a missing folder is created.
        write: called with the open file.

    Raises:
        OSError: the file cannot be written; an existing one is as it was.
    """
    with replacing(path) as scratch, open(scratch, 'wb') as file:
        write(file)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], suffix: str = '') -> Iterator[Path]:
    """A temporary name beside ``path``: the file written under it takes the place of ``path`` if the block ends well.

    No other process has this name. The file is forced to disk before it is renamed; after an error it is removed, and
    an existing ``path`` is as it was. Temporary files that killed processes of this machine left in the folder are
    removed, too.

    Args:
        path: the file; an existing one is replaced, a missing folder is created.
        suffix: end of the name, for programs that look at it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path.parent)
    scratch = path.with_name(f'.{path.name}.{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp{suffix}')
    try:
        yield scratch
        with open(scratch, 'rb+') as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
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
    """Take the lock of a file, waiting for it; a missing file is created.

    Raises:
        OSError: the file system has no locks.
    """
    return _locked(path, lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX))


def try_lock(path: str | os.PathLike[str], forked: bool = True) -> Lock | None:
    """:func:`lock`, or None where another process holds it.

    Args:
        path: a file, created where it is missing, or an existing folder.
        forked: whether forked processes hold the lock, too. Where they do not, ``path`` is a file, and the process has
            it open only once.

    Raises:
        OSError: the file system has no locks.
    """
    take = fcntl.flock if forked else fcntl.lockf
    try:
        return _locked(path, lambda descriptor: take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return None


def _locked(path: str | os.PathLike[str], take: Callable[[int], None]) -> Lock:
    """Open and lock what lies at ``path``; once more where the last holder has removed it meanwhile."""
    path = Path(path).resolve()
    while True:
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
            descriptor = _open(path)
            opened.callback(os.close, descriptor)
            take(descriptor)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                opened.pop_all()
                return Lock(descriptor)


def _open(path: str | os.PathLike[str]) -> int:
    if Path(path).is_dir():
        return os.open(path, os.O_RDONLY)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _remove_leftovers(folder: Path) -> None:
    scratch = re.compile(rf'\..+\.{re.escape(platform.node())}-(\d+)-[0-9a-f]{{8}}\.tmp.*')
    with contextlib.suppress(OSError):  # those of another user may have to stay
        for name in os.listdir(folder):
            match = scratch.fullmatch(name)
            if match and not is_running(int(match[1])):
                (folder / name).unlink()


def is_running(process: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
