"""The loop that formats of one file a clip share: every file parsed, by several processes, and added in order."""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeattn.datasets.converters.chunks import Chunks, Outcome, Parse, kept_beside
from skeattn.datasets.converters.intake import EVERYBODY, admit
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.converters.source import Source, describe
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import ConfigError, DataError
from skeattn.progress import progress
from skeattn.skeletons import SkeletonLayout


@dataclass(frozen=True)
class FileFormat:
    """A data set of one file a clip, in which every file is a clip.

    Args:
        dataset: its short name.
        layout: the skeleton layout or its name.
        classes: class names in label order.
        protocols: see :class:`~skeattn.datasets.packed.PackedWriter`.
        suffix: of the files, for example ``'.json'``.
        parse: see :func:`add_all`.
        columns: names of columns of the set's own.
    """

    dataset: str
    layout: str | SkeletonLayout
    classes: Sequence[str]
    protocols: Mapping[str, Mapping[str, Any]]
    suffix: str
    parse: Parse
    columns: Sequence[str] = ()

    def convert(
        self,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        *,
        persons: str = 'order',
        max_persons: int | None = None,
        strict: bool = False,
        overwrite: bool = False,
        jobs: int | None = None,
    ) -> None:
        """Pack the files.

        Args:
            source: folder or zip archive.
            out: the packed set's folder.
            persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
            strict: stop at the first unusable file instead of leaving it out.
            overwrite: replace a set at ``out``.
            jobs: number of processes; by default one a core.

        Raises:
            DataError: the source is unusable, or with ``strict`` a file is, or ``out`` exists.
        """
        files, choice = Source(source, self.suffix), Choice(persons, max_persons)
        facts = (self.dataset, self.layout, self.classes, self.protocols)
        with PackedWriter(out, *facts, overwrite, columns=self.columns) as writer:
            note_others(writer, files)
            add_all(writer, files, self.parse, choice, strict=strict, jobs=jobs)


def note_others(writer: PackedWriter, source: Source) -> None:
    """Have the set say which files of the source were not read, by suffix."""
    if source.others:
        writer.notes['files not read'] = describe(source.others)


def add_all(
    writer: PackedWriter,
    source: Source,
    parse: Parse,
    choice: Choice = EVERYBODY,
    *,
    strict: bool = False,
    jobs: int | None = None,
) -> None:
    """Parse every file of the source and add it, in the source's order, whatever the number of processes.

    Parsed clips are kept in a hidden folder beside the set until that is complete, so that a conversion which is
    interrupted, by whatever, goes on where it was when the same call is made again; it needs as much room as the set.

    Args:
        writer: an open writer.
        source: the files.
        parse: ``(path for messages, bytes) -> (name, keypoint, columns[, counts])``, a function at a module's top level
            or a :func:`functools.partial` of one; raises DataError for an unusable file.
        choice: of persons.
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
    if choice != EVERYBODY:
        writer.notes['persons kept'] = str(choice)
    ticks = progress(range(len(source) - kept), f'converting {source}')
    counts, unusable, first = Counter[str](), 0, ''
    with contextlib.closing(chunks.outcomes(jobs or _cores())) as finished:
        for number, outcomes in enumerate(finished):
            for outcome in outcomes:
                if number in waiting:
                    next(ticks)
                if reason := _add(writer, outcome, counts, choice):
                    if strict:
                        raise DataError(f'{reason}; without --strict (strict=True) it would be left out')
                    writer.skip(_skipped_name(writer, outcome.member), _printable(reason))
                    unusable += 1
                    first = first or reason
    next(ticks, None)
    if unusable and unusable == len(source):
        raise DataError(f'{source}: none of {len(source)} files is usable; the first: {first}')
    writer.notes.update(counts)


def _add(writer: PackedWriter, outcome: Outcome, counts: Counter[str], choice: Choice) -> str:
    """Add a clip; the reason where there is none, or the writer refuses it."""
    if outcome.parsed is None:
        return _naming(outcome.reason, outcome.member)
    name, keypoint, columns, *counted = outcome.parsed
    try:
        admit(writer, name, keypoint, columns, choice)
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
