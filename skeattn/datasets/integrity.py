"""Check that a file is unchanged since it was written, without reading gigabytes on every start."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from skeattn.files import sha256, write_json
from skeattn.reading import read_json

WORTH_NOTING = 1 << 28
"""File size in bytes above which hashing is slow, so that a note of the hash is kept on disk."""

_seen: dict[Path, dict[str, Any]] = {}


def folder_of(data: Path, cache: bool | str = True) -> Path | None:
    """The folder of notes and prepared clips of a packed set, created if necessary; None if there is none.

    Args:
        data: the set.
        cache: a folder for all sets; True: ``$SKEATTN_CACHE``, else ``.cache`` in the set's folder; False: None.
    """
    if cache is False:
        return None
    data = data.resolve()
    shared = os.environ.get('SKEATTN_CACHE') if cache is True else cache
    name = f'{data.name}-{hashlib.sha256(str(data).encode()).hexdigest()[:8]}'
    folder = Path(shared).expanduser() / name if shared else data / '.cache'
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder if folder.is_dir() else None


def is_intact(path: Path, expected: str, note: Path | None = None, again: bool = False) -> bool:
    """Whether a file has the expected hash.

    It is read only if it changed since the last successful check: size, times of change (also of the inode, which
    no program can set) and inode are compared with those in memory and in the note.

    Args:
        path: the file.
        expected: its sha256.
        note: small file that records the last check for other processes; with None only this process remembers it.
        again: always read the file.
    """
    path = path.resolve()
    now = {'sha256': expected, 'file': str(path), 'stat': _stat(path)}
    if not again and now in (_seen.get(path), read_note(note)):
        return True
    if sha256(path) != expected or _stat(path) != now['stat']:
        return False
    _seen[path] = now
    if note is not None:
        write_note(note, now)
    return True


def note_intact(path: Path, digest: str, note: Path) -> None:
    """Record for a newly written file what :func:`is_intact` compares."""
    path = path.resolve()
    write_note(note, {'sha256': digest, 'file': str(path), 'stat': _stat(path)})


def read_note(note: Path | None) -> dict[str, Any] | None:
    """A note; None if it is missing or unreadable."""
    try:
        content = read_json(note) if note else None
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_note(note: Path, content: dict[str, Any]) -> None:
    """Write a note atomically; a folder that cannot be written is silently ignored."""
    with contextlib.suppress(OSError):
        write_json(note, content)


def _stat(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
