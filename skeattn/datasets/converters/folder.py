"""The frame of formats that are a folder (or zip) of clips with labels beside: names, labels, layout, the loop."""

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from skeattn.datasets.converters.clips import (
    Clip,
    Read,
    Table,
    absent,
    add_clips,
    parse_channels,
    read_classes,
    read_layout,
)
from skeattn.datasets.converters.labels import Row, number_labels, read_array, read_table, unlabelled
from skeattn.datasets.converters.loop import note_others
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.converters.source import Source, describe
from skeattn.datasets.packed import FIELDS
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import SkeletonLayout

NO_LABELS = 'none'
_ABSOLUTE = re.compile(r'/|[A-Za-z]:/')
_LABELS = ('.csv', '.tsv', '.txt', '.npy')
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


@dataclass(frozen=True)
class ClipFolder:
    """A format that is a folder of clips.

    Args:
        suffixes: of the clips' files.
        read: the reader of a clip's files.
        file_of: the clip of a file, from its path within the source; None for one that is part of no clip.
        channels: names of the values of a joint, by their number.
        layouts: by their number of joints, for clips whose layout is not named.
        label: the label that the file of a clip holds, if the format has any; and the side of the clip's split, from
            its path within the source.
    """

    suffixes: tuple[str, ...]
    read: ReadClip | None = None
    file_of: Callable[[str], FileOf | None] = whole_file
    channels: dict[int, tuple[str, ...]] | None = None
    layouts: dict[int, str] | None = None
    label: Callable[[str, str, bytes], tuple[str, dict[str, int]]] | None = None

    def convert(
        self,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        layout: str | os.PathLike[str] | SkeletonLayout | None = None,
        labels: str | os.PathLike[str] | None = None,
        classes: str | os.PathLike[str] | None = None,
        *,
        persons: str = 'order',
        max_persons: int | None = None,
        strict: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Pack the clips, in the order of the table.

        Args:
            source: folder, searched through, or zip archive.
            out: the packed set's folder.
            layout: the skeleton, by name or as a ``.json`` file that defines it; by default that of the number of
                joints.
            labels: the table or array of labels, where it is not ``labels.csv`` or ``labels.npy`` in the folder;
                ``'none'`` packs every clip as an unlabelled one.
            classes: text file with one class a line, in the order of the labels.
            persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
            strict: stop at the first unusable clip or row.
            overwrite: replace a set at ``out``.

        Raises:
            DataError: the source or the labels are missing or of another form, no clip is usable, or with ``strict``
                one is not.
            ConfigError: unknown layout, or a number of joints of no layout.
        """
        assert self.read is not None
        choice = Choice(persons, max_persons)
        self.pack(self.read, source, out, layout, labels, classes, None, choice, strict=strict, overwrite=overwrite)

    def pack(
        self,
        read: ReadClip,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        layout: str | os.PathLike[str] | SkeletonLayout | None,
        labels: str | os.PathLike[str] | None,
        classes: str | os.PathLike[str] | None,
        channels: str | Sequence[str] | None,
        choice: Choice,
        *,
        strict: bool,
        overwrite: bool,
    ) -> None:
        """See :meth:`convert`; ``read`` reads the files of a clip, ``channels`` names the values of a joint."""
        skeleton, named = None if layout is None else read_layout(layout), parse_channels(channels)
        extra = tuple(suffix for suffix in _LABELS if suffix not in self.suffixes)
        files = Source(source, (*self.suffixes, *extra))
        beside = labels_beside(files)
        clips = Clips(files, self, without={*beside, *_resolved(layout, classes, labels)})
        if not clips.members:
            hint = f'; it holds {describe(files.others)}' if files.others else ''
            raise DataError(f'{source} holds no {" or ".join(self.suffixes)} file of a clip{hint}')
        rows = self._rows(clips, labels, next(iter(beside), None) if labels is None else None)
        class_names = number_labels(rows, None if classes is None else read_classes(classes))
        sides: dict[str, dict[str, int]] = defaultdict(dict)
        for row in rows:
            for split, side in row.sides.items():
                sides[split][row.name] = side
        table = Table([row.name for row in rows], [row.columns['label'] for row in rows], sides)
        own = sorted({column for row in rows for column in row.columns if column not in FIELDS})
        listed, others = clips.listed(rows, read, table)
        if skeleton is None or named is None:
            skeleton, named = self._inferred(clips, read, skeleton, named)
        names, columns = class_names or table.class_names(), [*table.columns, *own]
        dataset = Path(out).name
        with PackedWriter(out, dataset, skeleton, names, table.splits(), overwrite, named, columns) as writer:
            note_others(writer, files)
            add_clips(writer, str(source), [*listed, *others], len(listed) + len(others), choice, strict=strict)

    def _rows(self, clips: 'Clips', labels: str | os.PathLike[str] | None, member: str | None) -> list[Row]:
        names = [clips.names[clip] for clip in clips.members]
        if labels is not None and os.fspath(labels) == NO_LABELS:
            return unlabelled(names, [PurePosixPath(clip).name for clip in clips.members])
        if labels is None and member is None:
            if self.label is not None:
                return [self._own_label(clips, number, clip) for number, clip in enumerate(clips.members, 1)]
            raise DataError(
                f'{clips.files}: labels.csv cannot be read; it should be a table with the columns name and label '
                '(--labels FILE where it is elsewhere, --labels none for clips without labels)'
            )
        path = os.fspath(labels) if labels is not None else str(member)
        try:
            content = Path(path).read_bytes() if labels is not None else clips.files.read(path)
        except OSError as error:
            raise DataError(
                f'{path} cannot be read; it should be a table with the columns name and label ({error})'
            ) from error
        if path.lower().endswith('.npy'):
            return read_array(path, content, sorted(names))
        return read_table(path, content)

    def _own_label(self, clips: 'Clips', number: int, clip: str) -> Row:
        member = clips.members[clip][0]
        row = Row(number, clips.names[clip], '', where=clips.files.inner(member))
        assert self.label is not None
        with contextlib.suppress(DataError):  # reported when the clip is read
            row.label, row.sides = self.label(clips.files.inner(member), member, clips.files.read(member))
        return row

    def _inferred(
        self, clips: 'Clips', read: ReadClip, skeleton: SkeletonLayout | None, named: tuple[str, ...] | None
    ) -> tuple[SkeletonLayout, tuple[str, ...] | None]:
        """The layout and the channels by the shape of the first clip that can be read."""
        if skeleton is not None and not self.channels:
            return skeleton, named
        first, error = None, ''
        for clip in clips.members:
            try:
                first = read(clips.content(clip))[0]
                break
            except DataError as failure:
                error = error or str(failure)
        if first is None:
            raise DataError(f'{clips.files}: none of {len(clips.members)} clips is usable; the first: {error}')
        V, C = first.shape[2:]
        if skeleton is None:
            if V not in (self.layouts or {}):
                usual = ', '.join(f'{name} ({count})' for count, name in (self.layouts or {}).items())
                raise ConfigError(
                    f'{clips.files}: the clips have {V} joints; name their layout by --layout NAME or FILE.json. '
                    f'Layouts of this format: {usual}'
                )
            skeleton = read_layout((self.layouts or {})[V])
        return skeleton, named or (self.channels or {}).get(C)


class Clips:
    """The clips of a source by identity, and which of them a name means.

    Args:
        files: the source.
        kind: of its format.
        without: files that are no clips.

    Attributes:
        members: files of each clip in their order; the clips sorted by name.
        names: of the clips in the set.
    """

    def __init__(self, files: Source, kind: ClipFolder, without: set[str]) -> None:
        self.files = files
        self._suffixes = kind.suffixes
        placed: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.names: dict[str, str] = {}
        for member in files:
            if str(Path(member).resolve()) in without or member in without:
                continue
            if not member.lower().endswith(kind.suffixes):
                files.others[Path(member).suffix.lower()] += 1
                continue
            if (of := kind.file_of(files.inner(member))) is None:
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
        member for member in files if Path(member).stem.lower() == 'labels' and Path(member).suffix.lower() in _LABELS
    ]
    inside.sort(key=lambda member: (len(Path(member).parts), _LABELS.index(Path(member).suffix.lower())))
    near = [path.with_name(f'labels{suffix}') for path in files.paths if path.is_file() for suffix in _LABELS]
    return inside or [str(path) for path in near if path.is_file()][:1]


def _resolved(*paths: object) -> Iterable[str]:
    """Files that options name, which are no clips even if they lie among them."""
    return (str(Path(path).resolve()) for path in paths if isinstance(path, str | os.PathLike))
