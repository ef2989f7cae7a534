"""Readouts: how a feature map becomes one vector per clip, and sources of features that name one.

A source is ``[STREAM/]FEATURES[@READOUT]``, such as ``'backbone@joints'`` or ``'bone/backbone@joints+segments'``.
Without a readout it is :data:`MEAN`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from skeattn import choices
from skeattn.errors import ConfigError, did_you_mean
from skeattn.models.encoder import FeatureMap

MEAN = choices.MEAN
LOGITS = 'logits'
"""The source that no readout changes: the scores of a trained classifier."""
SEGMENTS = 4
_AT = '@'


def mean(F: FeatureMap) -> Tensor:
    """Mean over frames, joints and persons, ``(N, C)`` (eq. 6)."""
    return F.pool()


def joints(F: FeatureMap) -> Tensor:
    """Mean over frames and persons, ``(N, V' * C)``: the C values of the first joint, then those of the second, ….

    Persons have the weights of the mean, and ``pool='last'`` reads the last frame alone, as for the mean. A map without
    joint axis (V' = 1) gives its mean, ``(N, C)``.
    """
    frames = F.values if F.pooling == 'mean' else F.values[:, :, :, -1:]
    return F.over_persons(frames.mean(dim=3)).transpose(1, 2).flatten(1)


def joints_and_segments(F: FeatureMap) -> Tensor:
    """:func:`joints`, followed by the mean of each of four equal segments of time, ``(N, (V' + 4) * C)``.

    The mean of a segment is over its frames, joints and persons, ``(N, C)``; segments are in the order of time. The
    T' rows of the map are divided at multiples of T' / 4: a row on a border belongs to both segments. A map without
    joint axis (V' = 1) gives its mean and the four segments, ``(N, 5 * C)``.
    """
    rows = F.over_persons(F.values.mean(dim=4))
    T = rows.shape[2]
    bounds = [(i * T // SEGMENTS, -(-(i + 1) * T // SEGMENTS)) for i in range(SEGMENTS)]
    return torch.cat([joints(F), *(rows[:, :, start:end].mean(dim=2) for start, end in bounds)], dim=1)


READOUTS: dict[str, Callable[[FeatureMap], Tensor]] = dict(
    zip(choices.READOUTS, (mean, joints, joints_and_segments), strict=True)
)
"""Name -> function of a feature map ``(N, M', C, T', V')``; returns ``(N, D)``."""


def check_readout(readout: str) -> str:
    """The name of a readout.

    Raises:
        ConfigError: there is none of that name.
    """
    if readout not in READOUTS:
        raise ConfigError(f'unknown readout {readout!r}; {did_you_mean(str(readout), list(READOUTS))}')
    return readout


def split_source(source: str) -> tuple[str, str]:
    """(source without its readout, readout).

    Raises:
        ConfigError: an unknown readout.
    """
    features, at, readout = source.partition(_AT)
    return features, check_readout(readout) if at else MEAN


def with_readout(source: str, readout: str | None) -> str:
    """The source with a readout, unless it names one itself; the mean is not written.

    Raises:
        ConfigError: an unknown readout.
    """
    if _AT not in source and readout is not None:
        source = f'{source}{_AT}{readout}'
    features, readout = split_source(source)
    return features if readout == MEAN else f'{features}{_AT}{readout}'


def refuse_readout(features: str, readout: str) -> None:
    """Refuse another readout than the mean for features that are vectors already.

    Raises:
        ConfigError: it is another one.
    """
    if readout != MEAN:
        raise ConfigError(
            f'readout={readout!r} cannot read {features!r} features, which are computed from the mean; choose the '
            f'source backbone or raw, or readout={MEAN!r}'
        )
