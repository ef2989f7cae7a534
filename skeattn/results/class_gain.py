"""Accuracy by class of a method and of a baseline."""

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
    """Accuracy of a class in percent, of a baseline and of a method, one value per seed.

    Attributes:
        name: of the class, or :data:`MEAN`.
        clips: number of its test clips.
        baseline, ours: one value per record.
        paired: whether both have the same seeds in the same order.
    """

    name: str
    clips: int
    baseline: tuple[float, ...]
    ours: tuple[float, ...]
    paired: bool

    @property
    def gain(self) -> float:
        """Mean of ours minus mean of the baseline, in percentage points."""
        return float(np.mean(self.ours) - np.mean(self.baseline))

    @property
    def by_seed(self) -> tuple[float, ...]:
        """Gain for each seed; empty unless the seeds are paired."""
        return tuple(ours - base for ours, base in zip(self.ours, self.baseline, strict=True)) if self.paired else ()


def class_gains(baseline: Sequence[RecordedResult], ours: Sequence[RecordedResult]) -> list[ClassGain]:
    """Gain by class, greatest first, followed by the mean over classes.

    Args:
        baseline, ours: one record per seed. Classes without test clips are omitted.

    Raises:
        DataError: the records differ in classes or test clips, lack a confusion matrix, or mix methods on one side.
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
            raise DataError(
                f'{one.path} and {left[0].path} have different numbers of clips of a class; evaluate both on the same '
                f'test clips'
            )
    present = clips > 0
    accuracies = np.stack([100 * np.diag(table)[present] / clips[present] for table in counts])
    base, own = accuracies[: len(left)], accuracies[len(left) :]
    names = np.array(left[0].classes)[present].tolist()
    gains = [
        ClassGain(name, int(number), tuple(base[:, i].tolist()), tuple(own[:, i].tolist()), paired)
        for i, (name, number) in enumerate(zip(names, clips[present], strict=True))
    ]
    gains.sort(key=lambda one: -one.gain)
    mean = ClassGain(MEAN, int(clips.sum()), tuple(base.mean(1).tolist()), tuple(own.mean(1).tolist()), paired)
    return [*gains, mean]


def gains_table(gains: Sequence[ClassGain], baseline: str, ours: str, tablefmt: str = 'simple') -> str:
    """The gains of :func:`class_gains` as text: percent with the deviation over seeds, gain in percentage points."""
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
