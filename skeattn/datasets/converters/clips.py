"""What formats share that are a table of clips: the loop, names of classes, splits, and what names of NTU tell."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.channels import check_channels
from skeattn.datasets.converters.intake import EVERYBODY, admit
from skeattn.datasets.converters.ntu import parse_ntu_name
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.converters.source import bundled
from skeattn.datasets.splits import SPLITS
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import ConfigError, DataError
from skeattn.progress import progress
from skeattn.reading import read_json
from skeattn.skeletons import SkeletonLayout, get_layout

MOST_CLASSES = 100_000
TRAINS, TESTS, NEITHER = 1, 0, -1
_TEST_WORDS = ('val', 'test', 'eval')

# keypoint (M, T, V, C), the columns of a clip, its label among them, and where the source lists persons frame by frame
# their numbers (M, T), see persons.py
Clip = tuple[np.ndarray, dict[str, int]] | tuple[np.ndarray, dict[str, int], np.ndarray]
Read = Callable[[], Clip]


def add_clips(
    writer: PackedWriter,
    source: str,
    clips: Iterable[tuple[str, str, Read]],
    total: int,
    choice: Choice = EVERYBODY,
    *,
    marked: bool = False,
    strict: bool,
) -> None:
    """Read every clip and add it.

    Args:
        writer: an open writer.
        source: named in messages.
        clips: (name, where in the source, function that reads it and raises DataError for an unusable one).
        total: how many there are.
        choice: of persons.
        marked: missing joints are marked already, in the units of the source.
        strict: stop at the first unusable clip; by default it is recorded in the manifest and left out.

    Raises:
        DataError: no clip is usable, or one is not and ``strict``.
    """
    if choice != EVERYBODY:
        writer.notes['persons kept'] = str(choice)
    skipped = []
    for name, where, read in progress(clips, f'converting {source}', total):
        try:
            keypoint, columns, *ids = read()
            admit(writer, name, keypoint, columns, choice, *ids, marked=marked)
        except DataError as error:
            reason = f'{source}, {where}: {error}'
            if strict:
                raise DataError(f'{reason}; without --strict (strict=True) it would be left out') from error
            skipped.append((name, where, reason))
    if not len(writer):
        first = f'; the first: {skipped[0][2]}' if skipped else ''
        raise DataError(f'{source}: none of {total} clips is usable{first}')
    for name, where, reason in skipped:  # by their places where the set holds other clips of their names
        writer.skip(f'{name} ({where})' if name in writer else name, reason)


def absent(reason: str) -> tuple[np.ndarray, dict[str, int]]:
    """What reading a clip comes to that a list names and the source lacks."""
    raise DataError(reason)


def unflatten(rows: np.ndarray, V: int, C: int) -> np.ndarray:
    """Rows of a frame each ``(T, M * V * C)``, person by person and joint by joint, as ``(M, T, V, C)``.

    Raises:
        DataError: the rows are not a whole number of persons long.
    """
    T, width = rows.shape
    if not width or width % (V * C):
        raise DataError(f'{width} values a frame are no whole number of persons of {V} joints x {C} values')
    return rows.reshape(T, -1, V, C).swapaxes(0, 1)


def without_padding(keypoint: np.ndarray) -> np.ndarray:
    """``(M, T, V, C)`` without the all-zero frames at its end and the all-zero persons at its end."""
    occupied = np.argwhere(keypoint.any(axis=(2, 3)))
    M, T = occupied.max(axis=0) + 1 if len(occupied) else (0, 0)
    return keypoint[:M, :T]


def read_classes(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a text file, one class a line in the order of the labels.

    Raises:
        DataError: the file cannot be read, is empty, or names a class twice.
    """
    try:
        names = [line.strip() for line in Path(path).read_text(encoding='utf-8-sig').strip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path} cannot be read: {error}') from error
    twice = [name for line, name in enumerate(names) if not name or name in names[:line]]
    if twice or not names:
        what = f'line {names.index(twice[0]) + 1} is empty or stands twice' if twice else 'it is empty'
        raise DataError(f'{path} should hold one class a line, but {what}')
    return names


@dataclass
class Table:
    """What is known of the clips before they are read.

    Args:
        names, labels: of each clip; a label is -1 where there is none, or no usable one.
        sides: ``{split: {clip: TRAINS or TESTS}}``, the splits that the source lists.
        classes: text file with class names; by default those of NTU RGB+D where all names and labels are its, else
            numbers.

    Attributes:
        parsed: columns from each clip's name, if it is a name of NTU RGB+D.
    """

    names: Sequence[str]
    labels: Sequence[int]
    sides: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    classes: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        self.parsed = [parse_ntu_name(name) or {} for name in self.names]
        self._columns = {split: f'{split}_side' for split in self.sides}

    @property
    def _ntu(self) -> str | None:
        """``'ntu60'`` or ``'ntu120'`` where every clip has its name and label."""
        pairs = zip(self.parsed, self.labels, strict=True)
        if not self.parsed or any(columns.get('label') != label for columns, label in pairs):
            return None
        highest = max(self.labels)
        return 'ntu60' if highest < 60 else 'ntu120' if highest < 120 else None

    def class_names(self) -> list[str]:
        """See ``classes``."""
        if self.classes is not None:
            return read_classes(self.classes)
        if self._ntu:
            return bundled('ntu_actions.txt')[: 60 if self._ntu == 'ntu60' else 120]
        highest = max((label for label in self.labels if label < MOST_CLASSES), default=-1)
        return [f'class {label}' for label in range(highest + 1)]

    def splits(self) -> dict[str, dict[str, Any]]:
        """Those of the source, and those of NTU RGB+D that leave neither side empty."""
        listed = {name: {'field': column, 'train': [TRAINS], 'test': [TESTS]} for name, column in self._columns.items()}
        known = SPLITS[self._ntu] if self._ntu else {}
        two_sided = {
            name: rule
            for name, rule in known.items()
            if len({columns[rule['field']] in rule['train'] for columns in self.parsed}) == 2
        }
        return {**two_sided, **listed}

    @property
    def columns(self) -> list[str]:
        """Columns beside the usual ones: one for each split of the source."""
        return list(self._columns.values())

    def row(self, i: int) -> dict[str, int]:
        """The columns of clip i."""
        listed = {self._columns[name]: sides.get(self.names[i], NEITHER) for name, sides in self.sides.items()}
        return {**self.parsed[i], 'label': self.labels[i], **listed}


def pair(lists: Mapping[str, Iterable[str]], source: str) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Named lists of clips to splits.

    ``xsub_train`` and ``xsub_val`` become ``xsub``; ``train`` and ``val`` become ``split``. Where several lists go with
    one for training, each makes a split of its own: ``split_val`` and ``split_test``.

    Args:
        lists: ``{name: clips}``.
        source: named in messages.

    Returns:
        ``{split: {clip: TRAINS or TESTS}}`` and ``{split: 'training list / test list'}``.

    Raises:
        DataError: a clip is on both sides of a split.
    """
    sides: dict[str, dict[str, int]] = {}
    made_of: dict[str, str] = {}
    for train in (name for name in lists if 'train' in name):
        tests = {
            name: word for name in lists for word in _TEST_WORDS if name.replace(word, 'train', 1) == train != name
        }
        for test, word in tests.items():
            stem = train.replace('train', '', 1).strip('_-. ').replace('__', '_')
            stem = stem if stem and not stem.isdigit() else f'split{stem}'
            split = f'{stem}_{word}' if len(tests) > 1 else stem
            if both := set(lists[train]) & set(lists[test]):
                raise DataError(f'{source}: {min(both)} stands in both {train!r} and {test!r}; remove it from one')
            sides[split] = dict.fromkeys(lists[train], TRAINS) | dict.fromkeys(lists[test], TESTS)
            made_of[split] = f'{train} / {test}'
    return sides, made_of


def read_layout(layout: str | os.PathLike[str] | Mapping[str, Any] | SkeletonLayout) -> SkeletonLayout:
    """A layout as :func:`get_layout` takes it, or defined in a ``.json`` file by its arguments.

    Raises:
        ConfigError: unknown, or the file does not define one.
    """
    if not isinstance(layout, str | os.PathLike) or not os.fspath(layout).endswith('.json'):
        return get_layout(layout)  # type: ignore[arg-type]
    try:
        return get_layout(read_json(layout))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f'{os.fspath(layout)} does not define a layout: {error}') from error


def parse_channels(channels: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """``'x,y,score'`` or a sequence, as a tuple; None stays None.

    Raises:
        ConfigError: they do not begin with x, y or x, y, z.
    """
    return None if channels is None else check_channels(channels)
