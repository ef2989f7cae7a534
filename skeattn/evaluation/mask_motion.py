"""Whether the salient mask follows movement: its correlation with the speed of the joints."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from tabulate import tabulate
from torch import Tensor

from skeattn.channels import num_coordinates
from skeattn.datasets.packed import class_name
from skeattn.evaluation.salient_mask import check_mask, salient_mask
from skeattn.models.encoder import present_persons
from skeattn.progress import progress

FOLLOWS, WEAKLY = 0.5, 0.2
"""Correlations above which :func:`describe` calls the mask one that follows movement, or follows it weakly."""


@dataclass(frozen=True)
class MaskMotion:
    """The salient mask of a network over a data set, compared with movement.

    Args:
        correlation: (N,) float64, of mask and joint speed within each clip; NaN where it is undefined, because the mask
            or the speed is constant.
        labels: (N,) int64.
        low, high: minimum and maximum mask value over the persons present.
    """

    correlation: Tensor
    labels: Tensor
    low: float
    high: float

    @property
    def mean(self) -> float:
        """Mean correlation of all clips; NaN if it is undefined in all of them."""
        return float(self.correlation.nanmean())

    def by_class(self, classes: Sequence[str]) -> dict[str, float]:
        """Class -> mean correlation of its clips, for the classes that occur; NaN as in :attr:`mean`."""
        return {
            class_name(classes, label): float(self.correlation[self.labels == label].nanmean())
            for label in self.labels.unique().tolist()
        }

    def facts(self, classes: Sequence[str]) -> dict[str, Any]:
        """The numbers for a JSON file: ``range``, ``correlation`` and ``by_class``, None where one is undefined."""
        by_class = {name: _or_none(value) for name, value in self.by_class(classes).items()}
        return {'range': [self.low, self.high], 'correlation': _or_none(self.mean), 'by_class': by_class}


def mask_motion(model: Any, dataset: Any, batch_size: int = 256) -> MaskMotion:
    """Correlate the salient mask with the speed of the joints, within each clip.

    A clip's cells are all frames of the map and all joints of the persons present. The correlation is Pearson's: a
    picture of the mask is read linearly, and most joints of most clips are at rest, whose noise ranks (Spearman) would
    weigh as much as the movement.

    Args:
        model: an algorithm with ``salient_mask(data)``, ``(N, M, T', V)``.
        dataset: a ``SkeletonDataset``.
        batch_size: clips per forward pass.

    Raises:
        ConfigError: the model has no mask.
    """
    check_mask(model)
    D = num_coordinates(dataset.channels)
    correlations, ranges = [], []
    for batch in progress(torch.arange(len(dataset)).split(batch_size), 'comparing mask and movement'):
        data = dataset.__getitems__(batch.tolist())
        mask = salient_mask(model, data).double()
        clips = data['inputs'].cpu()
        speed = joint_speed(clips[:, :D], mask.shape[2], data.get('missing'))
        present = present_persons(clips.permute(0, 4, 1, 2, 3))
        correlations.append(correlate(mask, speed.where(present[:, :, None, None], torch.nan)))
        ranges += [mask[present].amin(), mask[present].amax()] if present.any() else []
    low, high = torch.stack(ranges).aminmax()
    return MaskMotion(torch.cat(correlations), torch.as_tensor(dataset.labels).cpu(), float(low), float(high))


def joint_speed(clips: Tensor, frames: int, missing: Tensor | None = None) -> Tensor:
    """Distance that each joint moves from frame to frame, averaged over the frames that a row of a map covers.

    The T - 1 steps are divided into equal parts; a step on a border belongs to both.

    Args:
        clips: coordinates ``(N, C, T, V, M)``.
        frames: T', number of frames of the map.
        missing: ``(N, T, V, M)``; steps from or to a missing joint are left out.

    Returns:
        ``(N, M, T', V)`` float64 in units of the coordinates per frame; NaN without a step.
    """
    steps = clips.double().diff(dim=2).norm(dim=1).permute(0, 3, 1, 2)
    known = torch.ones_like(steps)
    if missing is not None:
        gone = missing.cpu().permute(0, 3, 1, 2)
        known = 1.0 - (gone[:, :, 1:] | gone[:, :, :-1]).double()
    size = (frames, steps.shape[3])
    return F.adaptive_avg_pool2d(steps * known, size) / F.adaptive_avg_pool2d(known, size)


def correlate(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of ``(N, …)`` float64 within each row, ``(N,)``, without the cells where b is NaN.

    NaN where one of them is constant.
    """
    valid = ~b.flatten(1).isnan()
    a, b = (_centred(x.flatten(1), valid) for x in (a, b))
    return (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))


def _centred(x: Tensor, valid: Tensor) -> Tensor:
    """Values minus their mean over the valid cells; all zero if these are equal to the last digits."""
    count = valid.sum(dim=1, keepdim=True).clamp(min=1)
    x = x.where(valid, 0.0)
    centred = (x - x.sum(dim=1, keepdim=True) / count).where(valid, 0.0)
    noise = 1e-12 * x.abs().amax(dim=1, keepdim=True)
    return centred.where(centred.abs().amax(dim=1, keepdim=True) > noise, 0.0)


def motion_table(motions: Mapping[str, MaskMotion], classes: Sequence[str], fmt: str = 'simple') -> str:
    """Correlation of mask and joint speed as text: a row per class and one for all clips, a column per network.

    Args:
        motions: network -> result on the same clips.
        classes: class names.
        fmt: a tabulate format.
    """
    columns = [{**motion.by_class(classes), 'all clips': motion.mean} for motion in motions.values()]
    labels = next(iter(motions.values())).labels
    counts = [*labels.unique(return_counts=True)[1].tolist(), len(labels)]
    lines = [
        [name, count, *('–' if math.isnan(column[name]) else f'{column[name]:.2f}' for column in columns)]
        for name, count in zip(columns[0], counts, strict=True)
    ]
    align = ('left', *['right'] * (1 + len(columns)))
    return tabulate(lines, ['', 'clips', *motions], tablefmt=fmt, disable_numparse=True, colalign=align)


def describe(correlation: float) -> str:
    """What a correlation of mask and joint speed allows to say of the mask; it counts with two decimals, as printed."""
    correlation = round(correlation, 2)
    if correlation > FOLLOWS:
        return 'follows movement'
    return 'weakly follows movement' if correlation >= WEAKLY else 'does not follow movement'


def caption(untrained: float, trained: float) -> str:
    """The sentence below a picture of the mask, from the correlations before and after training."""
    return (
        f'After training the mask {describe(trained)}: its correlation with the speed of the joints is {trained:.2f}, '
        f'before training {untrained:.2f}.'
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
