"""The content of a packed set in numbers, and warnings where it is probably not what its user means."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skeattn.datasets.copies import members
from skeattn.datasets.packed import PackedSet
from skeattn.datasets.splits import split
from skeattn.errors import DataError

SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """Something that is wrong or unlikely.

    Args:
        where: the clip or the file.
        field: of the clip, or of the set.
        what: is wrong with it, and the cure.
    """

    where: str
    field: str
    what: str

    def __str__(self) -> str:
        return f'{self.where}: {self.field}: {self.what}'


Groups = Sequence[Sequence[int]]


def copied(test: np.ndarray, train: np.ndarray, groups: Groups) -> np.ndarray:
    """Which of the test clips equal a training clip, (N,) bool.

    Args:
        test, train: indices of clips.
        groups: of equal clips, see :meth:`~skeattn.datasets.packed.PackedSet.copies`.
    """
    group_of = members(groups)
    trained = {group_of[i] for i in train.tolist() if i in group_of}
    return np.array([group_of.get(i) in trained for i in test.tolist()], bool)


def copied_by_split(packed: PackedSet, groups: Groups) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Split -> test clips that equal a training clip, all training and all test clips; without one-sided splits."""
    clips = {}
    for name in packed.splits:
        with contextlib.suppress(DataError):
            train, test = split(packed, name)
            clips[name] = test[copied(test, train, groups)], train, test
    return clips


def copied_names(packed: PackedSet, name: str) -> frozenset[str]:
    """Names of the test clips of a split that equal a training clip."""
    clips, *_ = copied_by_split(packed, packed.copies()).get(name, (np.array([], int),))
    return frozenset(map(str, packed.table['name'][clips]))


def several_labels(packed: PackedSet, groups: Groups) -> list[Sequence[int]]:
    """Groups of equal clips with more than one label."""
    return [group for group in groups if len({*packed.table['label'][list(group)].tolist()} - {-1}) > 1]


def copies_summary(packed: PackedSet, groups: Groups) -> dict[str, Any]:
    """Copies by name, for JSON."""
    names = packed.table['name']
    return {
        'groups': [[str(names[i]) for i in group] for group in groups],
        'clips': sum(map(len, groups)),
        'several_labels': len(several_labels(packed, groups)),
        'test_clips': {split: len(clips) for split, (clips, *_) in copied_by_split(packed, groups).items()},
    }


def copy_findings(packed: PackedSet, groups: Groups) -> list[Finding]:
    """A line for each split with copies on both sides, one for copies under several labels, one for the others."""
    names, group_of, splits = packed.table['name'], members(groups), copied_by_split(packed, groups)
    findings, mentioned = [], set[int]()
    for name, (clips, train, test) in splits.items():
        if len(clips):
            group = groups[group_of[clips[0]]]
            original = next(i for i in group if i in set(train.tolist()))
            what = (
                f'equals the training clip {names[original]}; {len(clips)} of {len(test)} test clips of split {name!r} '
                f'equal a training clip ({_by_class(packed, clips, test)}); tools/test.py also reports '
                f'results without them'
            )
            findings.append(Finding(str(names[clips[0]]), 'copy', what))
            mentioned |= {group_of[i] for i in clips.tolist()}
    ambiguous = several_labels(packed, groups)
    for one, *others in ambiguous[:1]:
        labels = packed.table['label']
        other = next(i for i in others if labels[i] not in (labels[one], -1))
        what = (
            f'{_class(packed, labels[one])}, but its copy {names[other]} is {_class(packed, labels[other])}; '
            f'{len(ambiguous)} recordings have several labels: remove the wrong ones from the source'
        )
        findings.append(Finding(str(names[one]), 'label', what))
    rest = [k for k, group in enumerate(groups) if k not in mentioned and group not in ambiguous]
    if rest:
        one, other = groups[rest[0]][:2]
        what = f'equals {names[other]}; {len(rest)} recordings occur several times, each under one label'
        findings.append(Finding(str(names[one]), 'copy', what))
    return findings


def _class(packed: PackedSet, label: int) -> str:
    return repr(packed.classes[label]) if 0 <= label < len(packed.classes) else f'label {label}'


def _by_class(packed: PackedSet, clips: np.ndarray, test: np.ndarray) -> str:
    """``"50 of 50 'drop trash', 3 of 40 'carry'"``: the classes with most of the clips."""
    labels = packed.table['label']
    numbers, counts = np.unique(labels[clips], return_counts=True)
    order = np.argsort(-counts, kind='stable')[:SHOWN]
    shown = [f'{counts[k]} of {(labels[test] == numbers[k]).sum()} {_class(packed, numbers[k])}' for k in order]
    return ', '.join([*shown, *([f'{len(numbers) - SHOWN} classes more'] if len(numbers) > SHOWN else [])])
