"""Where raw files come from: folders and zip archives alike, and the lists that come with the toolbox."""

import contextlib
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from skeattn.errors import DataError
from skeattn.reading import check_size

# Which formats of convert.py read a suffix.
FORMATS = {
    '.skeleton': 'ntu',
    '.mat': 'utdmhad',
    '.pkl': 'pyskl or, in pairs with arrays, stgcn_arrays',
    '.pickle': 'pyskl',
    '.npz': 'ctrgcn',
    '.npy': 'plain or stgcn_arrays',
    '.csv': 'plain, deeplabcut or msrc12',
    '.tsv': 'plain',
    '.txt': 'plain, pkummd or that of a small Kinect set',
    '.rar': 'none, unpack it first',
    '.json': 'openpose, alphapose, mmpose, coco, mediapipe, kinetics, nwucla or plain',
    '.bvh': 'bvh',
    '.c3d': 'c3d',
    '.h5': 'sleap',
    '.zip': 'given by itself, that of its files',
}


class Source:
    """The files of some suffixes in folders (searched through) and in zip archives, sorted by file name.

    A folder that holds no such file is searched for zip archives. Members are paths: of a file, or of a file inside an
    archive (``archive.zip/inner/name.skeleton``).

    Args:
        paths: folder, ``.zip`` or a file of the suffixes, or several of them.
        suffix: for example ``'.json'``, or several; in capitals or not.

    Attributes:
        others: how many files of other suffixes there are, by suffix.

    Raises:
        DataError: a path is missing, no archive, or holds no such file.
    """

    def __init__(
        self, paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], suffix: str | Sequence[str]
    ) -> None:
        self.paths = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
        self._suffixes = (suffix,) if isinstance(suffix, str) else tuple(suffix)
        self.others: Counter[str] = Counter()
        # An archive is opened again in each process: forked ones would share its position.
        self._opened: dict[tuple[int, Path], zipfile.ZipFile] = {}
        self._inside: dict[str, tuple[Path, str]] = {}
        members: list[str] = []
        for path in self.paths:
            listed = self._list(path)
            if not listed:
                hint = f'; it holds {describe(self.others)}' if self.others else ''
                raise DataError(f'{path} holds no {" or ".join(self._suffixes)} file{hint}')
            members += listed
        self.members = sorted(dict.fromkeys(members), key=lambda member: (Path(member).name, member))

    def _list(self, path: Path) -> list[str]:
        if path.is_dir():
            files = _visible(path)
            if taken := [str(file) for file in files if self._takes(file)]:
                self.others.update(file.suffix.lower() for file in files if not self._takes(file))
                return taken
            archives = [file for file in files if file.suffix.lower() == '.zip']
            self.others.update(file.suffix.lower() for file in files if file not in archives)
            return [member for archive in archives for member in self._list_archive(archive)]
        if path.is_file():
            return [str(path)] if self._takes(path) else self._list_archive(path)
        raise DataError(
            f'{path} does not exist: give the folder or zip archive with the {" or ".join(self._suffixes)} files'
        )

    def _list_archive(self, path: Path) -> list[str]:
        written = {name.replace('\\', '/'): name for name in self._archive(path).namelist()}  # some tools write \
        inner = [name for name in written if not name.endswith('/') and not _hidden(Path(name))]
        members = {str(path / name): (path, written[name]) for name in inner if self._takes(Path(name))}
        self.others.update(Path(name).suffix.lower() for name in inner if not self._takes(Path(name)))
        self._inside.update(members)
        return list(members)

    def _takes(self, path: Path) -> bool:
        return path.name.lower().endswith(self._suffixes)

    def inner(self, member: str) -> str:
        """Where a file lies within its folder or archive, with forward slashes."""
        if member in self._inside:
            return self._inside[member][1].replace('\\', '/')
        path = Path(member)
        folder = next((folder for folder in self.paths if path != folder and path.is_relative_to(folder)), path.parent)
        return path.relative_to(folder).as_posix()

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
            DataError: it cannot be read (damaged or encrypted archive, no permission), or is larger than
                :data:`~skeattn.reading.LARGEST`, unpacked.
        """
        try:
            check_size(self.state(member)[0])
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


def _visible(folder: Path) -> list[Path]:
    return [file for file in folder.rglob('*') if file.is_file() and not _hidden(file.relative_to(folder))]


def describe(suffixes: Counter[str]) -> str:
    """Files by suffix, the most first, each with the formats that read such files."""
    listed = []
    for suffix, count in sorted(suffixes.items(), key=lambda item: (-item[1], item[0])):
        formats = f' (format {FORMATS[suffix]})' if suffix in FORMATS else ''
        listed.append(f'{count} {suffix or "without suffix"}{formats}')
    return ', '.join(listed)


def _hidden(path: Path) -> bool:
    """Archives made on a Mac carry a shadow file beside each real one."""
    return any(part.startswith(('.', '__MACOSX')) for part in path.parts)


def bundled(file: str) -> list[str]:
    """The lines of a text file in ``skeattn/datasets/data``."""
    path: Any = Path(__file__).resolve().parent.parent / 'data' / file
    return path.read_text(encoding='utf-8').split('\n')[:-1]
