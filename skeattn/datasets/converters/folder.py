"""The frame of formats that are a folder (or zip) of clips with labels beside: names, labels, layout, the loop."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from skeattn.datasets.converters.clips import Table, add_clips, parse_channels, read_classes, read_layout
from skeattn.datasets.converters.labels import Row, number_labels, read_array, read_table, unlabelled
from skeattn.datasets.converters.loop import note_others
from skeattn.datasets.converters.members import (
    LABELS,
    Clips,
    Content,
    FileOf,
    ReadClip,
    labels_beside,
    resolved,
    whole_file,
)
from skeattn.datasets.converters.named import NamedClip, read_in_order
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.converters.source import Source, describe
from skeattn.datasets.packed import FIELDS
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import SkeletonLayout

NO_LABELS = 'none'
ReadNamed = Callable[[Content], NamedClip]
Result = TypeVar('Result')


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
        named: the reader of a clip's files, where these name channels and, perhaps, joints. It replaces ``read``,
            ``channels`` and ``layouts``.
        is_frame: whether a file is a frame and not a clip, by its content; asked of the first file.
        frame_of: takes the place of ``file_of`` where files are frames.
    """

    suffixes: tuple[str, ...]
    read: ReadClip | None = None
    file_of: Callable[[str], FileOf | None] = whole_file
    channels: dict[int, tuple[str, ...]] | None = None
    layouts: dict[int, str] | None = None
    label: Callable[[str, str, bytes], tuple[str, dict[str, int]]] | None = None
    named: ReadNamed | None = None
    is_frame: Callable[[bytes], bool] | None = None
    frame_of: Callable[[str], FileOf | None] | None = None

    def convert(
        self,
        source: str | os.PathLike[str] | Source,
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
            source: folder, searched through, or zip archive; or its files.
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
        choice = Choice(persons, max_persons)
        self.pack(self.read, source, out, layout, labels, classes, None, choice, strict=strict, overwrite=overwrite)

    def pack(
        self,
        read: ReadClip | None,
        source: str | os.PathLike[str] | Source,
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
        extra = tuple(suffix for suffix in LABELS if suffix not in self.suffixes)
        files = source if isinstance(source, Source) else Source(source, (*self.suffixes, *extra))
        beside = labels_beside(files)
        without = {*beside, *resolved(layout, classes, labels)}
        clips = self.clips(files, without)
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
        read, skeleton, named = self._inferred(clips, read, skeleton, named)
        listed, others = clips.listed(rows, read, table)
        names, columns = class_names or table.class_names(), [*table.columns, *own]
        dataset = Path(out).name
        with PackedWriter(out, dataset, skeleton, names, table.splits(), overwrite, named, columns) as writer:
            note_others(writer, files)
            add_clips(writer, str(files), [*listed, *others], len(listed) + len(others), choice, strict=strict)

    def clips(self, files: Source, without: set[str]) -> Clips:
        """The clips of a source, apart from files that are none."""
        return Clips(files, self.suffixes, self._file_of(files, without), without)

    def _file_of(self, files: Source, without: set[str]) -> Callable[[str], FileOf | None]:
        """How files belong to clips, of which the first file may tell that it is a frame."""
        if self.is_frame is None or self.frame_of is None:
            return self.file_of
        own = (member for member in files if member.lower().endswith(self.suffixes))
        first = next((member for member in own if not {member, str(Path(member).resolve())} & without), None)
        return self.frame_of if first is not None and self.is_frame(files.read(first)) else self.file_of

    def _rows(self, clips: Clips, labels: str | os.PathLike[str] | None, member: str | None) -> list[Row]:
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

    def _own_label(self, clips: Clips, number: int, clip: str) -> Row:
        member = clips.members[clip][0]
        row = Row(number, clips.names[clip], '', where=clips.files.inner(member))
        assert self.label is not None
        with contextlib.suppress(DataError):  # reported when the clip is read
            row.label, row.sides = self.label(clips.files.inner(member), member, clips.files.read(member))
        return row

    def _inferred(
        self, clips: Clips, read: ReadClip | None, skeleton: SkeletonLayout | None, named: tuple[str, ...] | None
    ) -> tuple[ReadClip, SkeletonLayout, tuple[str, ...] | None]:
        """The reader, the layout and the channels, as far as the first clip that can be read decides."""
        if self.named is not None:
            first = _first(clips, self.named)
            skeleton = skeleton or first.layout(str(clips.files))
            return partial(read_in_order, self.named, skeleton, first.channels), skeleton, first.channels
        assert read is not None
        if skeleton is not None and (named is not None or not self.channels):
            return read, skeleton, named
        V, C = _first(clips, read)[0].shape[2:]
        if skeleton is None:
            if V not in (self.layouts or {}):
                usual = ', '.join(f'{name} ({count})' for count, name in (self.layouts or {}).items())
                raise ConfigError(
                    f'{clips.files}: the clips have {V} joints; name their layout by --layout NAME or FILE.json. '
                    f'Layouts of this format: {usual}'
                )
            skeleton = read_layout((self.layouts or {})[V])
        return read, skeleton, named or (self.channels or {}).get(C)


def _first(clips: Clips, read: Callable[[Content], Result]) -> Result:
    """What the first clip comes to that can be read.

    Raises:
        DataError: none can.
    """
    reason = ''
    for clip in clips.members:
        try:
            return read(clips.content(clip))
        except DataError as error:
            reason = reason or str(error)
    raise DataError(f'{clips.files}: none of {len(clips.members)} clips is usable; the first: {reason}')
