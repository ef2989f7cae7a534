"""Data sets whose files hold several clips each: the clips are listed first, then read one by one."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skeattn.datasets.converters.clips import Read, add_clips
from skeattn.datasets.converters.loop import note_others
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.converters.source import Source
from skeattn.datasets.writer import PackedWriter

# (name, where in the source, function that reads it and raises DataError), as add_clips reads them
Listed = list[tuple[str, str, Read]]


@dataclass(frozen=True)
class SegmentFormat:
    """A data set whose files hold several clips.

    Args:
        dataset: its short name.
        layout: name of the skeleton layout.
        classes: class names in label order.
        splits: see :class:`~skeattn.datasets.writer.PackedWriter`.
        suffixes: the ends of the files' names, in lower case.
        list_clips: lists the clips of a source; clips that the authors leave out it passes to the writer's ``skip``.
    """

    dataset: str
    layout: str
    classes: Sequence[str]
    splits: Mapping[str, Mapping[str, Any]]
    suffixes: tuple[str, ...]
    list_clips: Callable[[Source, PackedWriter], Listed]

    def convert(
        self,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        *,
        persons: str = 'order',
        max_persons: int | None = None,
        strict: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Pack the clips.

        Args:
            source: folder or zip archive.
            out: the packed set's folder.
            persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
            strict: stop at the first unusable clip instead of leaving it out.
            overwrite: replace a set at ``out``.

        Raises:
            DataError: the source is unusable, no clip is usable, or with ``strict`` one is not.
        """
        files, choice = Source(source, self.suffixes), Choice(persons, max_persons)
        with PackedWriter(out, self.dataset, self.layout, self.classes, self.splits, overwrite) as writer:
            note_others(writer, files)
            clips = self.list_clips(files, writer)
            add_clips(writer, str(source), clips, len(clips), choice, strict=strict)
