"""Knowing that a file is the one that was written, without reading gigabytes of it on every start."""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from skeattn.files import sha256, write_json

WORTH_NOTING = 1 << 28
"""Bytes from which on a hash costs more than a blink, so that a note of it is kept on disk."""

_seen: dict[Path, dict[str, Any]] = {}


def folder_of(data: Path, cache: bool | str = True) -> Path | None:
    """Where notes and prepared clips of a packed set lie, made if need be; None where there is no such place.

    Args:
        data: the set.
        cache: a folder for all sets; True: ``$SKEATTN_CACHE``, else ``.cache`` in the set's own; False: None.
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
    """Whether a file has the hash that it should have.

    It is read only where it is not as it was when last found intact: size, times of change (also of the inode, which
    no program can set) and inode are compared with those in memory and in the note.

    Args:
        path: the file.
        expected: its sha256.
        note: small file that remembers the last check for other processes; None remembers in this process alone.
        again: read it in any case.
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
    """Remember of a file just written what :func:`is_intact` looks for."""
    path = path.resolve()
    write_note(note, {'sha256': digest, 'file': str(path), 'stat': _stat(path)})


def read_note(note: Path | None) -> dict[str, Any] | None:
    """A note; None where there is none, or none that can be read."""
    try:
        content = json.loads(note.read_text()) if note else None
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_note(note: Path, content: dict[str, Any]) -> None:
    """Write a note, all or nothing; a folder that cannot be written is none to remember in, and no error."""
    with contextlib.suppress(OSError):
        write_json(note, content)


def _stat(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
