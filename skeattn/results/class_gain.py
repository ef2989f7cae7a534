"""Accuracy by class of one method beside another's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from skeattn.errors import DataError
from skeattn.results.recorded import RecordedResult, check_comparable
from skeattn.results.report import mean_std

MEAN = 'mean over classes'


@dataclass(frozen=True)
class ClassGain:
    """A class's accuracy, percent, of a baseline and of a method, one value per seed.

    Attributes:
        name: of the class, or :data:`MEAN`.
        clips: test clips of it.
        baseline, ours: a value per record.
        paired: the two have the same seeds in the same order.
    """

    name: str
    clips: int
    baseline: tuple[float, ...]
    ours: tuple[float, ...]
    paired: bool

    @property
    def gain(self) -> float:
        """Mean of ours less mean of the baseline, in percentage points."""
        return float(np.mean(self.ours) - np.mean(self.baseline))

    @property
    def by_seed(self) -> tuple[float, ...]:
        """Gain with each seed; empty where the seeds are not the same."""
        return tuple(ours - base for ours, base in zip(self.ours, self.baseline, strict=True)) if self.paired else ()


def class_gains(baseline: Sequence[RecordedResult], ours: Sequence[RecordedResult]) -> list[ClassGain]:
    """Gain by class, greatest first, and last the mean over classes.

    Args:
        baseline, ours: one record per seed. Classes without test clips are left out.

    Raises:
        DataError: other classes, other test clips, another protocol's kind of record, or methods mixed on one side.
    """
    check_comparable([*baseline, *ours])
    for side in (baseline, ours):
        check_comparable(side, ('name', 'stream'))
    left, right = (sorted(side, key=lambda one: (one.seed is None, one.seed)) for side in (baseline, ours))
    seeds = [one.seed for one in left]
    paired = seeds == [one.seed for one in right] and len(set(seeds)) == len(seeds) and None not in seeds
    counts = [one.confusion for one in (*left, *right)]
    clips = counts[0].sum(axis=1)
    for one, table in zip((*left, *right), counts, strict=True):
        if (table.sum(axis=1) != clips).any():
            raise DataError(f'{one.path} and {left[0].path} have different numbers of clips of a class')
    there = clips > 0
    accuracies = np.stack([100 * np.diag(table)[there] / clips[there] for table in counts])
    base, own = accuracies[: len(left)], accuracies[len(left) :]
    names = [name for name, present in zip(left[0].classes, there, strict=True) if present]
    gains = [
        ClassGain(name, int(number), tuple(base[:, i].tolist()), tuple(own[:, i].tolist()), paired)
        for i, (name, number) in enumerate(zip(names, clips[there], strict=True))
    ]
    gains.sort(key=lambda one: -one.gain)
    mean = ClassGain(MEAN, int(clips.sum()), tuple(base.mean(1).tolist()), tuple(own.mean(1).tolist()), paired)
    return [*gains, mean]


def gains_table(gains: Sequence[ClassGain], baseline: str, ours: str, tablefmt: str = 'simple') -> str:
    """Rows of :func:`class_gains`: percent with the spread over seeds, gain in percentage points."""
    headings = ['class', 'clips', baseline, ours, 'gain', *(['gain by seed'] if gains[0].paired else [])]
    rows = [
        [
            one.name,
            f'{one.clips}',
            mean_std(one.baseline),
            mean_std(one.ours),
            f'{one.gain:+.1f}',
            *([' '.join(f'{value:+.1f}' for value in one.by_seed)] if one.paired else []),
        ]
        for one in gains
    ]
    align = ('left', *['right'] * (len(headings) - 1))
    return tabulate(rows, headings, tablefmt=tablefmt, disable_numparse=True, colalign=align)
