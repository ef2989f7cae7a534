"""Where raw files come from, a folder or a zip archive alike, and the loop that all converters share."""

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.datasets.packed import PackedWriter
from skeattn.errors import DataError
from skeattn.progress import progress

# name of the clip, keypoint (M, T, V, C), and the columns that its name tells
Parsed = tuple[str, np.ndarray, dict[str, int]]


class Source:
    """The files of one suffix in a folder (searched through) or in a zip archive, sorted by file name.

    Args:
        path: folder or ``.zip``.
        suffix: for example ``'.json'``.

    Raises:
        DataError: the path is missing, no archive, or holds no such file.
    """

    def __init__(self, path: str | os.PathLike[str], suffix: str) -> None:
        self.path = Path(path)
        self._archive: zipfile.ZipFile | None = None
        if self.path.is_dir():
            members = [str(file.relative_to(self.path)) for file in self.path.rglob(f'*{suffix}') if file.is_file()]
        elif self.path.is_file():
            try:
                self._archive = zipfile.ZipFile(self.path)
            except (zipfile.BadZipFile, OSError) as error:
                raise DataError(f'{self.path} is neither a folder nor a readable zip archive: {error}') from error
            members = [name for name in self._archive.namelist() if name.endswith(suffix)]
        else:
            raise DataError(f'{self.path} does not exist: give the folder or zip archive with the {suffix} files')
        # Archives made on a Mac carry a shadow file beside each real one.
        hidden = ('.', '__MACOSX')
        self.members = sorted(
            (m for m in members if not any(part.startswith(hidden) for part in Path(m).parts)),
            key=lambda member: (Path(member).name, member),
        )
        if not self.members:
            raise DataError(f'{self.path} holds no {suffix} file')

    def read(self, member: str) -> bytes:
        """The bytes of one file.

        Raises:
            DataError: it cannot be read (damaged archive, no permission).
        """
        try:
            return self._archive.read(member) if self._archive else (self.path / member).read_bytes()
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
            raise DataError(f'{self.path / member}: cannot be read ({error})') from error
        except Exception as error:  # zlib.error is no ValueError
            raise DataError(f'{self.path / member}: the archive is damaged ({error})') from error

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)


def add_all(writer: PackedWriter, source: Source, parse: Callable[[str, bytes], Parsed], skip_bad: bool) -> None:
    """Parse and add every file of the source.

    Args:
        writer: an open writer.
        source: the files.
        parse: ``(path for messages, bytes) -> (name, keypoint, columns)``; raises DataError for an unusable file.
        skip_bad: record an unusable file in the manifest and go on, instead of stopping.

    Raises:
        DataError: an unusable file and not ``skip_bad``.
    """
    for member in progress(source, f'converting {source.path}'):
        try:
            name, keypoint, columns = parse(str(source.path / member), source.read(member))
            writer.add(name, keypoint, **columns)
        except DataError as error:
            if not skip_bad:
                raise DataError(f'{_naming(error, member)}; --skip-bad leaves such files out') from error
            writer.skip(Path(member).stem, str(error))


def _naming(error: DataError, member: str) -> str:
    text = str(error)
    return text if Path(member).stem in text else f'{member}: {text}'


def bundled(file: str) -> list[str]:
    """The lines of a text file in ``skeattn/datasets/data``."""
    path: Any = Path(__file__).resolve().parent.parent / 'data' / file
    return path.read_text(encoding='utf-8').split('\n')[:-1]
