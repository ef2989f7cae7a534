"""Few labels: the part of a training split whose labels may be used, the same clips for everyone.

Of every class ``round(fraction * n)`` clips are taken, in the order of sha256 of seed and clip name: the choice depends
on neither platform, library versions nor the order of the sample table, and a smaller fraction's clips are among a
larger one's. It is written beside the set, where it can be looked at and published with results.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.datasets.integrity import write_note
from skeattn.datasets.packed import PackedSet
from skeattn.datasets.splits import held_out_subjects
from skeattn.datasets.splits import split as split_by
from skeattn.datasets.union import joined, sets_with_split
from skeattn.errors import ConfigError, DataError, NoClipsError
from skeattn.reading import read_json

FOLDER = 'subsets'
REST, HELD_OUT = 'rest', 'heldout'
SETTINGS = {'fraction': 1.0, 'seed': 0, 'heldout': 0.0, 'part': REST, 'per_class': None}


def labelled_clips(packed: PackedSet, split: str | Sequence[str], subset: Mapping[str, Any] | None) -> np.ndarray:
    """The training clips that ``dataset.subset`` leaves, ascending.

    Args:
        packed: the set, or a union; each of its sets keeps the choice that it has alone.
        split: its name.
        subset: ``fraction`` of the clips of every class (1), or ``per_class``, their number, and ``seed`` of their
            choice (0); clips without a label are left out. Further ``heldout``, the share of these clips' subjects that
            is held out (0), and which ``part`` is meant, the ``'rest'`` or those ``'heldout'``.
            None: the whole split, with clips without a label.

    Raises:
        ConfigError: an unknown key, or a value outside its range.
        DataError: a class would get no clip; the subset's file is damaged or of another set; too few subjects.
    """
    if subset is None:
        return split_by(packed, split)[0]
    settings = _checked(subset)
    train = joined(packed, [_chosen(one, of_one, settings) for one, of_one in sets_with_split(packed, split)])
    if settings['heldout']:
        held = held_out_subjects(packed.table['subject'][train], settings['heldout'])
        train = train[held if settings['part'] == HELD_OUT else ~held]
    return train


def choose(
    names: Sequence[str],
    labels: Sequence[int],
    fraction: float,
    seed: int,
    classes: Sequence[str],
    per_class: int | None = None,
) -> list[str]:
    """Names of ``round(fraction * n)`` of the n clips of every class that occurs, class by class.

    Args:
        names, labels: of the clips.
        fraction: of the clips of each class.
        seed: of the choice.
        classes: names, for messages.
        per_class: number of clips of each class, instead of a fraction.

    Raises:
        DataError: a class would get none, or has fewer than ``per_class``; names it, its count and what would do.
    """
    of_class: dict[int, list[str]] = {}
    for name, label in zip(names, labels, strict=True):
        of_class.setdefault(int(label), []).append(str(name))
    labelled = []
    for label, members in sorted(of_class.items()):
        count = per_class or round(fraction * len(members))
        if count > len(members):
            fewest = min(map(len, of_class.values()))
            raise DataError(
                f'dataset.subset.per_class={per_class}, but class {classes[label]!r} has only {len(members)} labelled '
                f'training clips; with {fewest} every class has enough'
            )
        if not count:
            enough = smallest_fraction(min(map(len, of_class.values())))
            raise DataError(
                f'a fraction of {fraction:g} leaves class {classes[label]!r} none of its {len(members)} training '
                f'clips; the smallest fraction that leaves every class a clip is {enough:g}'
            )
        labelled += sorted(members, key=lambda name: hashlib.sha256(f'{seed}:{name}'.encode()).digest())[:count]
    return labelled


def smallest_fraction(clips: int) -> float:
    """A fraction of few digits that just leaves a class of so many clips one."""
    half = Fraction(1, 2 * clips)  # at which Python still rounds to zero
    scale = 10 ** (math.ceil(-math.log10(half)) + 1)
    return (math.floor(half * scale) + 1) / scale


def subset_file(packed: PackedSet, split: str, fraction: float, seed: int, per_class: int | None = None) -> Path:
    """Where the choice is written."""
    amount = f'{per_class}perclass' if per_class else f'{100 * fraction:g}percent'
    return packed.path / FOLDER / f'{split}_{amount}_seed{seed}.json'


def _checked(subset: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(subset) - set(SETTINGS))
    if unknown:
        raise ConfigError(f'dataset.subset has no {unknown[0]!r}; known: {", ".join(SETTINGS)}')
    settings: dict[str, Any] = {**SETTINGS, **subset}
    fraction, seed, heldout, part, per_class = settings.values()
    if per_class is not None and (not isinstance(per_class, int) or isinstance(per_class, bool) or per_class < 1):
        raise ConfigError(f'dataset.subset.per_class={per_class!r} must be a number of clips, 1 or more')
    if per_class and 'fraction' in subset:
        raise ConfigError('dataset.subset has both fraction and per_class; remove one')
    if not isinstance(fraction, int | float) or not 0 < fraction <= 1:
        raise ConfigError(f'dataset.subset.fraction={fraction!r} must lie above 0 and not above 1')
    if not isinstance(seed, int):
        raise ConfigError(f'dataset.subset.seed={seed!r} must be a whole number')
    if not isinstance(heldout, int | float) or not 0 <= heldout < 1 or part not in (REST, HELD_OUT):
        raise ConfigError(
            f'dataset.subset: heldout={heldout!r} must lie in [0, 1) and part={part!r} be {REST!r} or {HELD_OUT!r}'
        )
    if part == HELD_OUT and not heldout:
        raise ConfigError('dataset.subset.part="heldout" without a share of held-out subjects; set subset.heldout')
    return settings


def _chosen(packed: PackedSet, split: str, settings: Mapping[str, Any]) -> np.ndarray:
    """The labelled training clips of a single set, without holding out subjects."""
    train, _ = split_by(packed, split)
    train = train[packed.table['label'][train] >= 0]
    if not len(train):
        raise NoClipsError(f'{packed.path}: split {split!r} has no training clip with a label')
    if settings['fraction'] < 1 or settings['per_class']:
        train = _read_or_choose(packed, split, train, settings['fraction'], settings['seed'], settings['per_class'])
    return train


def _read_or_choose(
    packed: PackedSet, split: str, train: np.ndarray, fraction: float, seed: int, per_class: int | None
) -> np.ndarray:
    path = subset_file(packed, split, fraction, seed, per_class)
    facts = {
        'protocol': split,  # as files have called it from the beginning
        'fraction': fraction,
        'seed': seed,
        **({'per_class': per_class} if per_class else {}),
        'manifest_sha256': packed.digest,
    }
    label_of = {str(packed.table['name'][i]): int(packed.table['label'][i]) for i in train}
    if path.is_file():
        names = _read(path, facts, label_of, packed.classes)
    else:
        names = choose(list(label_of), list(label_of.values()), fraction, seed, packed.classes, per_class)
        # A set that cannot be written to is no obstacle: the choice follows from the names.
        write_note(path, {**facts, 'labels': _counts(names, label_of, packed.classes), 'names': names})
    return train[np.isin(packed.table['name'][train], names)]


def _read(path: Path, facts: Mapping[str, Any], label_of: Mapping[str, int], classes: Sequence[str]) -> list[str]:
    remove = f'remove {path}, and the clips are chosen again'
    try:
        subset = read_json(path)
        names, counts = [str(name) for name in subset['names']], dict(subset['labels'])
        differing = [key for key in facts if subset[key] != facts[key]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f'{path} is damaged ({error!r}); {remove}') from error
    if differing:
        key = differing[0]
        raise DataError(f'{path} was chosen with {key}={subset[key]!r}, now it is {facts[key]!r}; {remove}')
    strangers = [name for name in names if name not in label_of]
    if strangers or len(set(names)) < len(names):
        what = f'names {strangers[0]!r}, no training clip of the split' if strangers else 'names a clip twice'
        raise DataError(f'{path} {what}; {remove}')
    absent = sorted(set(label_of.values()) - {label_of[name] for name in names})
    if absent:
        raise DataError(f'{path} has no clip of class {classes[absent[0]]!r}; {remove}')
    if counts != _counts(names, label_of, classes):
        raise DataError(f'{path} is damaged: its counts are not those of its names; {remove}')
    return names


def _counts(names: Sequence[str], label_of: Mapping[str, int], classes: Sequence[str]) -> dict[str, int]:
    counts = Counter(label_of[name] for name in names)
    return {str(classes[label]): counts[label] for label in sorted(counts)}
