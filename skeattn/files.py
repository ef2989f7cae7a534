"""Atomic file writing, digests, and locks that end with the process that holds them."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from skeattn.errors import StorageError
from skeattn.progress import progress

BLOCK = 1 << 22
_NO_SUCH_PLACE = (errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


def write_atomic(path: str | os.PathLike[str], write: Callable[[BinaryIO], Any]) -> None:
    """Write a file completely or not at all.

    Several processes can write the same file at once: the last one to finish wins.

    Args:
        path: the file; an existing one is replaced, a missing folder is created.
        write: called with the open file.

    Raises:
        StorageError: the disk is full or read-only, or the folder cannot be created; an existing file is unchanged.
        OSError: the file cannot be written; an existing one is unchanged.
    """
    with replacing(path) as scratch, open(scratch, 'wb') as file:
        write(file)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], suffix: str = '') -> Iterator[Path]:
    """A temporary path beside ``path``: the file written there replaces ``path`` if the block succeeds.

    The name is unique to this process. The file is flushed to disk before it is renamed. After an error it is removed
    and an existing ``path`` is unchanged. Temporary files that killed processes of this machine left in the folder are
    removed as well.

    Args:
        path: the file; an existing one is replaced, a missing folder is created.
        suffix: end of the name, for programs that infer the format from it.

    Raises:
        StorageError: the disk is full or read-only, or the folder cannot be created.
    """
    path = Path(path)
    with _scratch(path, suffix) as scratch:
        yield scratch
        with open(scratch, 'rb+') as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before long work that its result could not be written; nothing is left, missing folders neither.

    Raises:
        StorageError, OSError: as :func:`write_atomic`.
    """
    path = Path(path)
    absent = [folder for folder in path.parents if not os.path.exists(folder)]
    try:
        with _scratch(path) as scratch:
            scratch.touch()
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    finally:
        for folder in absent:
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def _scratch(path: Path, suffix: str = '') -> Iterator[Path]:
    """A temporary path beside ``path`` that is gone after the block; what the disk refuses is a StorageError."""
    scratch = path.with_name(f'.{path.name}.{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp{suffix}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        yield scratch
    except Exception as error:
        full = next((cause for cause in _chain(error) if isinstance(cause, OSError) and storage_failed(cause)), None)
        if full is not None:
            raise StorageError(storage_message(path, full), full.errno) from error
        if isinstance(error, OSError) and error.errno in _NO_SUCH_PLACE and _is_of(error, scratch):
            why = f'{error.filename}: {error.strerror}'
            raise StorageError(f'{path} cannot be written ({why}); choose another folder', error.errno) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def _is_of(error: OSError, path: Path) -> bool:
    """Whether an error is of a path, or of a folder on the way to it."""
    return error.filename is not None and Path(os.fsdecode(error.filename)) in (path, *path.parents)


def storage_failed(error: BaseException) -> bool:
    """Whether a write failed for a full or read-only disk, a quota, or a limit on the size of files."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def denied(error: OSError) -> str:
    """What to tell of a file that cannot be opened: no permission, or a folder where a file should be; else empty."""
    kinds = (errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR)
    return f'{error.filename}: {error.strerror}' if error.errno in kinds and error.filename else ''


def storage_message(path: str | os.PathLike[str] | None, error: BaseException) -> str:
    """What to tell of :func:`storage_failed`: the path if it is known, the reason, and the free space."""
    if path is None:
        return f'a file could not be written: {getattr(error, "strerror", None) or error}. Make room'
    folder = next(folder for folder in (Path(path), *Path(path).absolute().parents) if folder.is_dir())
    reason, free = getattr(error, 'strerror', None) or str(error), shutil.disk_usage(folder).free
    room = f'{free / 1e9:.3g} GB are free there'
    return f'{path} could not be written: {reason}; {room}. Make room, or choose another folder'


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it followed: torch replaces what the file reports by an error of its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """:func:`write_atomic` for text, as UTF-8."""
    write_atomic(path, lambda file: file.write(text.encode()))


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """:func:`write_atomic` for readable JSON."""
    write_text(path, json.dumps(content, indent=2) + '\n')


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 digest of a file, read in blocks; shows a progress line if it takes long."""
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
        descriptor: file descriptor of the locked file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor, so that a child process can hold the lock as well."""
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
    """Lock a file, waiting until it is free; a missing file is created.

    Raises:
        OSError: the file system has no locks.
    """
    return _locked(path, lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX))


def try_lock(path: str | os.PathLike[str], forked: bool = True) -> Lock | None:
    """Lock a file as :func:`lock` does, or return None if another process holds the lock.

    Args:
        path: a file, created if it is missing, or an existing folder.
        forked: whether forked processes hold the lock as well. If not, ``path`` must be a file that this process has
            open only once.

    Raises:
        OSError: the file system has no locks.
    """
    take = fcntl.flock if forked else fcntl.lockf
    try:
        return _locked(path, lambda descriptor: take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return None


def _locked(path: str | os.PathLike[str], take: Callable[[int], None]) -> Lock:
    """Open and lock ``path``; try again if its last holder has removed it in the meantime."""
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
    with contextlib.suppress(OSError):  # files of another user may not be removable
        for name in os.listdir(folder):
            match = scratch.fullmatch(name)
            if match and not is_running(int(match[1])):
                (folder / name).unlink()


def is_running(process: int) -> bool:
    """Whether a process with this number exists on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
