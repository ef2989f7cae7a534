"""Several packed sets read as one: for a pre-training on all of them.

Nothing of one set is taken for something of another: clips and classes are named ``set/name``, and labels, subjects,
cameras and setups are numbered on from set to set, so that classes stay apart even where their names are equal. Each
set keeps its own split, its own choice of labelled clips and its own files; nothing is written for the union but
prepared clips.

Sets of several layouts can be a union, too; their clips are read by a ``MultiLayoutDataset``.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, cast

import numpy as np

from skeattn.datasets.packed import COLUMNS, MANIFEST, PackedSet
from skeattn.errors import ConfigError
from skeattn.files import sha256
from skeattn.skeletons import SkeletonLayout

Folder = str | os.PathLike[str]
IDENTITIES = ('subject', 'camera', 'setup')
"""Columns whose numbers mean something else in each set."""


@dataclass(frozen=True)
class UnionSet(PackedSet):
    """Several packed sets as one, its clips in the order of the sets; made by :func:`open_sets`.

    ``path`` is a folder beside the first set, ``nwucla+utdmhad``, made only for prepared clips. ``frames`` has no rows
    and ``splits`` is empty, because each of ``sets`` keeps its own. ``layout`` is None where those of the sets differ.
    """

    sets: tuple[PackedSet, ...]

    @classmethod
    def of(cls, sets: Sequence[PackedSet]) -> 'UnionSet':
        """The union of opened sets.

        Raises:
            ConfigError: their channels differ, or one is listed twice.
        """
        _check_alike(sets)
        first = sets[0]
        names = [packed.path.name for packed in sets]
        path = first.path.parent / '+'.join(names)
        if len({*names}) < len(names):
            names = [packed.path.as_posix() for packed in sets]
        classes = [f'{name}/{label}' for name, packed in zip(names, sets, strict=True) for label in packed.classes]
        manifest = {
            'dataset': '+'.join(names),
            'layout': first.manifest['layout'] if len(layouts_of(sets)) == 1 else None,
            'channels': list(first.channels),
            'classes': classes,
            'counts': {'missing': sum(packed.manifest['counts'].get('missing', 0) for packed in sets)},
            'protocols': {},
            'skipped': [],
            'sha256': {},
        }
        layout = first.layout if len(layouts_of(sets)) == 1 else cast(SkeletonLayout, None)
        return cls(path, manifest, layout, classes, _table(names, sets), first.frames[:0], tuple(sets))

    @property
    def digest(self) -> str:
        """Identity of the content, a hash of those of the sets in their order."""
        return _digest([packed.digest for packed in self.sets])

    def clip(self, i: int) -> np.ndarray:
        """Clip ``i`` as ``(M, T, V, C)`` float32 in metres, read-only."""
        one, start = self._set_of(i)
        return one.clip(i - start)

    def layout_of(self, i: int) -> SkeletonLayout:
        """The layout of clip ``i``."""
        return self._set_of(i)[0].layout

    def _set_of(self, i: int) -> tuple[PackedSet, int]:
        """The set of clip ``i``, and the index of its first clip."""
        starts = _starts(self.sets)
        number = int(np.searchsorted(starts, i, side='right')) - 1
        return self.sets[number], starts[number]

    def copies(self, again: bool = False) -> list[list[int]]:
        """Groups of clips that hold the same recording; sets are not compared with each other."""
        starts = zip(self.sets, _starts(self.sets), strict=True)
        return [[i + start for i in group] for packed, start in starts for group in packed.copies(again)]

    def missing_share(self) -> np.ndarray:
        """For each clip the share of missing joints among those of the persons who are there, ``(N,)``."""
        return np.concatenate([packed.missing_share() for packed in self.sets])

    def verify(self, again: bool = False, cache: bool | str = True) -> None:
        """Compare the files of each set with its hashes, see :meth:`PackedSet.verify`."""
        for packed in self.sets:
            packed.verify(again, cache)


def open_sets(data: Folder | Sequence[Folder]) -> PackedSet:
    """The packed set of ``dataset.data``: one folder, or the union of several.

    Raises:
        DataError: a set is missing or incomplete, see :meth:`PackedSet.open`.
        ConfigError: an empty list, a list without brackets, channels that differ, or a set listed twice.
    """
    if isinstance(data, str) and not is_packed(data) and is_packed(several := data.split(',')):
        raise ConfigError(f'dataset.data={data!r} is one folder; several sets are a list with brackets, {several}')
    sets = [PackedSet.open(folder) for folder in folders_of(data)]
    if not sets:
        raise ConfigError('dataset.data=[] lists no packed set; give a folder, or several')
    return sets[0] if len(sets) == 1 else UnionSet.of(sets)


def sets_with_split(packed: PackedSet, split: str | Sequence[str]) -> list[tuple[PackedSet, str]]:
    """The sets of a union, or the one set, with the split of each.

    Args:
        packed: of :func:`open_sets`.
        split: one name for all sets, or one per set.

    Raises:
        ConfigError: a different number of names.
    """
    sets = sets_of(packed)
    names = [split] if isinstance(split, str) else list(split)
    names = names * len(sets) if len(names) == 1 else names
    if len(names) != len(sets):
        raise ConfigError(
            f'split={names} for {in_words([one.path for one in sets])}; give one name for all sets, or one per set'
        )
    return list(zip(sets, names, strict=True))


def joined(packed: PackedSet, indices: Iterable[np.ndarray]) -> np.ndarray:
    """Indices of clips in each set, in order, as indices in ``packed``."""
    return np.concatenate([clips + start for clips, start in zip(indices, _starts(sets_of(packed)), strict=True)])


def folders_of(data: Folder | Sequence[Folder]) -> list[Path]:
    """The folders of ``dataset.data``."""
    return [Path(data)] if isinstance(data, str | os.PathLike) else [Path(folder) for folder in data]


def in_words(value: Any) -> str:
    """``dataset.data`` or ``dataset.split`` as text: ``data/nwucla + data/utdmhad``."""
    return ' + '.join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def is_packed(data: Any) -> TypeGuard[Folder | Sequence[Folder]]:
    """Whether ``dataset.data`` names packed sets; that of a custom data set can be anything."""
    folders = folders_of(data) if isinstance(data, str | os.PathLike | list | tuple) else []
    return bool(folders) and all((folder / MANIFEST).is_file() for folder in folders)


def digest_of(data: Folder | Sequence[Folder]) -> str:
    """The :attr:`~PackedSet.digest` of :func:`open_sets`, read from the manifests alone."""
    return _digest([sha256(folder / MANIFEST) for folder in folders_of(data)])


def sets_of(packed: PackedSet) -> tuple[PackedSet, ...]:
    """The sets of a union, or the one set."""
    return packed.sets if isinstance(packed, UnionSet) else (packed,)


def layouts_of(sets: Iterable[PackedSet]) -> list[SkeletonLayout]:
    """The layouts of some sets, each once."""
    return [*dict.fromkeys(packed.layout for packed in sets)]


def check_one_layout(packed: PackedSet) -> None:
    """Refuse a union of several layouts.

    Raises:
        ConfigError: names two sets that differ.
    """
    first, *others = sets_of(packed)
    for other in others:
        if other.layout != first.layout:
            names = [layout.name for layout in layouts_of(sets_of(packed))]
            raise ConfigError(
                f'{other.path} has skeletons of layout {other.layout.name!r}, {first.path} of {first.layout.name!r}; '
                f'they are read together by an encoder that knows joints by name (SkeletonTransformer), with '
                f'layout={names} in the config'
            )


def _starts(sets: Sequence[PackedSet]) -> list[int]:
    """Index of each set's first clip in their union."""
    return np.cumsum([0, *map(len, sets[:-1])]).tolist()  # type: ignore[no-any-return]


def _digest(digests: Sequence[str]) -> str:
    return digests[0] if len(digests) == 1 else hashlib.sha256('\n'.join(digests).encode()).hexdigest()


def _check_alike(sets: Sequence[PackedSet]) -> None:
    first = sets[0]
    for packed in sets[1:]:
        if packed.channels != first.channels:
            raise ConfigError(
                f'{packed.path} has channels {list(packed.channels)}, {first.path} {list(first.channels)}; sets that '
                f'are read together must have the same channels: convert one of them again, or read it alone'
            )
    seen = set[Path]()
    for packed in sets:
        if packed.path.resolve() in seen:
            raise ConfigError(f'dataset.data lists {packed.path} twice')
        seen.add(packed.path.resolve())


def _table(names: Sequence[str], sets: Sequence[PackedSet]) -> dict[str, np.ndarray]:
    """The columns that every set has, one set after the other."""
    columns: dict[str, list[np.ndarray]] = {column: [] for column in COLUMNS}
    shifts = dict.fromkeys(COLUMNS, 0)
    for name, packed in zip(names, sets, strict=True):
        for column, parts in columns.items():
            values = packed.table[column]
            if column == 'name':
                parts.append(np.array([f'{name}/{clip}' for clip in values]))
            else:
                parts.append(np.where(values < 0, values, values + shifts[column]))
        shifts['label'] += len(packed.classes)
        shifts['offset'] += len(packed.frames)
        for column in IDENTITIES:
            shifts[column] += int(packed.table[column].max(initial=-1)) + 1
    return {column: np.concatenate(parts) for column, parts in columns.items()}
