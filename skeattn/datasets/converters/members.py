"""The clips of a folder by identity and name, and the tables of labels beside them."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from skeattn.datasets.converters.clips import Clip, Read, Table, absent
from skeattn.datasets.converters.labels import Row
from skeattn.datasets.converters.source import Source
from skeattn.errors import DataError

LABELS = ('.csv', '.tsv', '.txt', '.npy')
_ABSOLUTE = re.compile(r'/|[A-Za-z]:/')
# What names in a table end with, when they are those of videos.
_VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg', '.m4v')

# Path and content of the files of a clip in their order -> keypoint (M, T, V, C), and the numbers (M, T) of the persons
# where they are listed frame by frame
Content = list[tuple[str, bytes]]
Index = dict[str, list[str]]
ReadClip = Callable[[Content], tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class FileOf:
    """Of which clip a file is: its identity, its name in the set and its place among the clip's files."""

    clip: str
    name: str
    place: int = 0


def whole_file(inner: str) -> FileOf:
    """A clip a file; ``day1/a.npy`` is the clip ``day1/a``."""
    return FileOf(inner, PurePosixPath(inner).with_suffix('').as_posix())


class Clips:
    """The clips of a source by identity, and which of them a name means.

    Args:
        files: the source.
        suffixes: of the clips' files.
        file_of: the clip of a file, see :class:`~skeattn.datasets.converters.folder.ClipFolder`.
        without: files that are no clips.

    Attributes:
        members: files of each clip in their order; the clips sorted by name.
        names: of the clips in the set.
    """

    def __init__(
        self,
        files: Source,
        suffixes: tuple[str, ...],
        file_of: Callable[[str], FileOf | None],
        without: set[str],
    ) -> None:
        self.files = files
        self._suffixes = suffixes
        placed: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.names: dict[str, str] = {}
        for member in files:
            if str(Path(member).resolve()) in without or member in without:
                continue
            if not member.lower().endswith(suffixes):
                files.others[Path(member).suffix.lower()] += 1
                continue
            if (of := file_of(files.inner(member))) is None:
                continue
            placed[of.clip].append((of.place, member))
            self.names[of.clip] = of.name
        order = sorted(placed, key=lambda clip: (self.names[clip], clip))
        self.members = {clip: [member for _, member in sorted(placed[clip])] for clip in order}
        self._levels = self._index()

    def _index(self) -> list[Index]:
        """Clips by name, by the end of their name or their folder, and by these without regard to capitals."""
        exact, ends, folded = ({}, {}, {})  # type: tuple[Index, Index, Index]
        in_folder: dict[str, list[str]] = defaultdict(list)
        for clip in self.members:
            for name in dict.fromkeys((clip, self.names[clip])):
                exact.setdefault(name, []).append(clip)
                parts = name.split('/')
                for start in range(1, len(parts)):
                    ends.setdefault('/'.join(parts[start:]), []).append(clip)
            in_folder[PurePosixPath(clip).parent.as_posix()].append(clip)
        for folder, inside in in_folder.items():
            if len(inside) == 1 and folder != '.':
                parts = folder.split('/')
                for start in range(len(parts)):
                    ends.setdefault('/'.join(parts[start:]), []).append(inside[0])
        for level in (exact, ends):
            for name, inside in level.items():
                folded.setdefault(name.casefold(), []).extend(inside)
        return [exact, ends, folded]

    def find(self, name: str) -> str:
        """The clip that a row of a table means.

        Raises:
            DataError: there is none, or several.
        """
        own = self.files.paths[0]
        spellings = [name.strip('/'), name.removeprefix(f'{own.name}/'), name.removeprefix(f'{own.stem}/')]
        for suffix in (*self._suffixes, *_VIDEOS):
            spellings += [text[: -len(suffix)] for text in dict.fromkeys(spellings) if text.lower().endswith(suffix)]
        if _ABSOLUTE.match(name):  # where the folder lay on some machine; the rest must be a whole name
            for text in dict.fromkeys(spellings):
                parts = text.split('/')
                ends = ('/'.join(parts[start:]) for start in range(1, len(parts)))
                spellings += [end for end in ends if end in self._levels[0]]
        for level in self._levels:
            for key in dict.fromkeys(spellings):
                clips = list(dict.fromkeys(level.get(key) or level.get(key.casefold()) or ()))
                if len(clips) > 1:
                    paths = ', '.join(sorted(PurePosixPath(clip).name for clip in clips)[:4])
                    raise DataError(f'{name} is one of several files: {paths}')
                if clips:
                    return clips[0]
        frames = any(PurePosixPath(clip).name.lower().endswith('_keypoints.json') for clip in self.members)
        hint = '; files called _keypoints.json are frames, read by the format openpose' if frames else ''
        raise DataError(f'there is no file {name}{", ".join(self._suffixes)}{hint}')

    def content(self, clip: str) -> Content:
        """The files of a clip.

        Raises:
            DataError: one cannot be read.
        """
        return [(member, self.files.read(member)) for member in self.members[clip]]

    def listed(
        self, rows: list[Row], read: ReadClip, table: Table
    ) -> tuple[list[tuple[str, str, Read]], list[tuple[str, str, Read]]]:
        """What to pack for each row of a table, and the clips that no row names."""
        named: set[str] = set()

        def pack(i: int) -> Clip:
            if rows[i].wrong:
                raise DataError(rows[i].wrong)
            keypoint, ids = read(self.content(self.find(rows[i].name)))
            columns = {**table.row(i), **rows[i].columns}
            return (keypoint, columns) if ids is None else (keypoint, columns, ids)

        for row in rows:
            try:
                named.add(self.find(row.name))
            except DataError:  # reported when the clip is read
                named.update(clip for level in self._levels[:1] for clip in level.get(row.name, ()))
        suffixes = {Path(clip).suffix.lower() for clip in named}
        unnamed = [clip for clip in self.members if clip not in named]
        others: list[tuple[str, str, Read]] = []
        for clip in unnamed:
            if suffixes and Path(clip).suffix.lower() not in suffixes:
                self.files.others[Path(clip).suffix.lower()] += 1  # of another kind than the clips
            else:
                name = PurePosixPath(self.names[clip]).name
                where = PurePosixPath(clip).name
                others.append((name, where, partial(absent, 'no row of the table of labels names it')))
        return [(row.name, row.where, partial(pack, i)) for i, row in enumerate(rows)], others


def labels_beside(files: Source) -> list[str]:
    """Tables of labels in the source, else the one beside its archive: ``labels.csv``, ``.tsv``, ``.txt`` or ``.npy``.

    The first is the one to use; none is a clip.
    """
    inside = [
        member for member in files if Path(member).stem.lower() == 'labels' and Path(member).suffix.lower() in LABELS
    ]
    inside.sort(key=lambda member: (len(Path(member).parts), LABELS.index(Path(member).suffix.lower())))
    near = [path.with_name(f'labels{suffix}') for path in files.paths if path.is_file() for suffix in LABELS]
    return inside or [str(path) for path in near if path.is_file()][:1]


def resolved(*paths: object) -> Iterable[str]:
    """Files that options name, which are no clips even if they lie among them."""
    return (str(Path(path).resolve()) for path in paths if isinstance(path, str | os.PathLike))
