"""Where raw files come from, folders and zip archives alike, and the loop that all converters share."""

import contextlib
import os
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from skeattn.datasets.converters.chunks import Chunks, Outcome, Parse, Parsed, kept_beside
from skeattn.datasets.packed import PackedWriter
from skeattn.errors import ConfigError, DataError
from skeattn.progress import progress

__all__ = ['Parse', 'Parsed', 'Source', 'add_all', 'bundled']


class Source:
    """The files of one suffix in folders (searched through) and in zip archives, sorted by file name.

    A folder that holds no such file is searched for zip archives. Members are paths: of a file, or of a file inside an
    archive (``archive.zip/inner/name.skeleton``).

    Args:
        paths: folder or ``.zip``, or several of them.
        suffix: for example ``'.json'``.

    Raises:
        DataError: a path is missing, no archive, or holds no such file.
    """

    def __init__(self, paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], suffix: str) -> None:
        self.paths = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
        self._suffix = suffix
        # An archive is opened again in each process: forked ones would share its position.
        self._opened: dict[tuple[int, Path], zipfile.ZipFile] = {}
        self._inside: dict[str, tuple[Path, str]] = {}
        found: list[str] = []
        for path in self.paths:
            listed = self._list(path)
            if not listed:
                raise DataError(f'{path} holds no {suffix} file')
            found += listed
        self.members = sorted(dict.fromkeys(found), key=lambda member: (Path(member).name, member))

    def _list(self, path: Path) -> list[str]:
        if path.is_dir():
            files = [str(file) for file in _visible(path, f'*{self._suffix}')]
            return files or [member for archive in _visible(path, '*.zip') for member in self._list_archive(archive)]
        if path.is_file():
            return self._list_archive(path)
        raise DataError(f'{path} does not exist: give the folder or zip archive with the {self._suffix} files')

    def _list_archive(self, path: Path) -> list[str]:
        inner = [name for name in self._archive(path).namelist() if name.endswith(self._suffix)]
        members = {str(path / name): (path, name) for name in inner if not _hidden(Path(name))}
        self._inside.update(members)
        return list(members)

    def _archive(self, path: Path) -> zipfile.ZipFile:
        key = (os.getpid(), path)
        if key not in self._opened:
            try:
                self._opened[key] = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
                raise DataError(f'{path} is neither a folder nor a readable zip archive: {error}') from error
        return self._opened[key]

    def read(self, member: str) -> bytes:
        """The bytes of one file.

        Raises:
            DataError: it cannot be read (damaged or encrypted archive, no permission).
        """
        try:
            if member not in self._inside:
                return Path(member).read_bytes()
            path, name = self._inside[member]
            return self._archive(path).read(name)
        except DataError:
            raise
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
            raise DataError(f'{member}: cannot be read ({error})') from error
        except Exception as error:  # zlib.error is no ValueError
            raise DataError(f'{member}: the archive is damaged ({error})') from error

    def read_ahead(self, members: Sequence[str]) -> None:
        """Have the system fetch files that are read soon while others are parsed, where it knows how to."""
        if not hasattr(os, 'posix_fadvise'):
            return
        for member in members:
            if member not in self._inside:
                with contextlib.suppress(OSError), open(member, 'rb') as file:  # said when the file is read
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)

    def state(self, member: str) -> tuple[int, int]:
        """What changes when the file does: its size, and its time of change or checksum.

        Raises:
            DataError: the file is gone.
        """
        if member in self._inside:
            path, name = self._inside[member]
            info = self._archive(path).getinfo(name)
            return info.file_size, info.CRC
        try:
            stat = os.stat(member)
        except OSError as error:
            raise DataError(f'{member}: cannot be read ({error})') from error
        return stat.st_size, stat.st_mtime_ns

    def __getstate__(self) -> dict[str, Any]:
        """An open archive stays with its process."""
        return {**self.__dict__, '_opened': {}}

    def __str__(self) -> str:
        return ', '.join(map(str, self.paths))

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)


def _visible(folder: Path, pattern: str) -> list[Path]:
    return [file for file in folder.rglob(pattern) if file.is_file() and not _hidden(file.relative_to(folder))]


def _hidden(path: Path) -> bool:
    """Archives made on a Mac carry a shadow file beside each real one."""
    return any(part.startswith(('.', '__MACOSX')) for part in path.parts)


def add_all(
    writer: PackedWriter, source: Source, parse: Parse, *, strict: bool = False, jobs: int | None = None
) -> None:
    """Parse every file of the source and add it, in the source's order, whatever the number of processes.

    Parsed clips are kept in a hidden folder beside the set until that is complete, so that a conversion which is
    interrupted, by whatever, goes on where it was when the same call is made again; it needs as much room as the set.

    Args:
        writer: an open writer.
        source: the files.
        parse: ``(path for messages, bytes) -> (name, keypoint, columns[, counts])``, a function at a module's top level
            or a :func:`functools.partial` of one; raises DataError for an unusable file.
        strict: stop at the first unusable file; by default it is recorded in the manifest and left out.
        jobs: number of processes; by default one a core.

    Raises:
        DataError: no file is usable, one is not and ``strict``, or another process converts to the same folder.
        ConfigError: ``jobs`` is below 1.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f'jobs={jobs} must be 1 or more')
    folder = writer.resources.enter_context(kept_beside(writer.out, lambda: writer.complete))
    chunks = Chunks(folder, source, parse)
    waiting = set(chunks.waiting())
    if kept := len(source) - sum(map(chunks.size, waiting)):
        print(f'{kept} of {len(source)} files were converted before, going on', file=sys.stderr)
    ticks = progress(range(len(source) - kept), f'converting {source}')
    counts, unusable, first = Counter[str](), 0, ''
    with contextlib.closing(chunks.outcomes(jobs or _cores())) as finished:
        for number, outcomes in enumerate(finished):
            for outcome in outcomes:
                if number in waiting:
                    next(ticks)
                if reason := _add(writer, outcome, counts):
                    if strict:
                        raise DataError(f'{reason}; without --strict (strict=True) it would be left out')
                    writer.skip(_skipped_name(writer, outcome.member), _printable(reason))
                    unusable += 1
                    first = first or reason
    next(ticks, None)
    if unusable and unusable == len(source):
        raise DataError(f'{source}: none of {len(source)} files is usable; the first: {first}')
    writer.notes.update(counts)


def _add(writer: PackedWriter, outcome: Outcome, counts: Counter[str]) -> str:
    """Add a clip; the reason where there is none, or the writer refuses it."""
    if outcome.parsed is None:
        return _naming(outcome.reason, outcome.member)
    name, keypoint, columns, *counted = outcome.parsed
    try:
        writer.add(name, keypoint, **columns)
    except DataError as error:
        return _naming(str(error), outcome.member)
    for one in counted:
        counts.update(one)
    return ''


def _naming(reason: str, member: str) -> str:
    return reason if Path(member).stem in reason else f'{member}: {reason}'


def _skipped_name(writer: PackedWriter, member: str) -> str:
    """The clip's name; of a second file of a name that the set holds, the file's whole path."""
    name = Path(member).stem
    return _printable(member if name in writer else name)


def _printable(text: str) -> str:
    """File names are bytes; what is no text in them is shown as ``\\udc80``."""
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def bundled(file: str) -> list[str]:
    """The lines of a text file in ``skeattn/datasets/data``."""
    path: Any = Path(__file__).resolve().parent.parent / 'data' / file
    return path.read_text(encoding='utf-8').split('\n')[:-1]
