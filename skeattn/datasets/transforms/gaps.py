"""Frames in which nobody was seen: removed where a clip may be cut, bridged where a sensor blinked."""

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.transforms.pipeline import Clip, present
from skeattn.errors import ConfigError, DataError
from skeattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TrimEmpty(BaseTransform):
    """Remove frames in which no person is there.

    Args:
        where: ``'start'``, ``'end'``, ``'ends'`` (both), or ``'all'``: those in between as well, which joins what
            was apart in time.

    Raises:
        ConfigError: unknown place.
        DataError: nobody is there in any frame.
    """

    def __init__(self, where: str = 'ends') -> None:
        if where not in ('start', 'end', 'ends', 'all'):
            raise ConfigError(f'TrimEmpty: where={where!r} is none of start, end, ends, all')
        self.where = where

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint`` and ``total_frames``."""
        keypoint = results['keypoint']
        seen = np.flatnonzero(present(keypoint).any(axis=0))
        if not len(seen):
            raise DataError(f'{results["name"]}: nobody is there (all zero) in any frame')
        begin = 0 if self.where == 'end' else seen[0]
        end = keypoint.shape[1] if self.where == 'start' else seen[-1] + 1
        results['keypoint'] = keypoint[:, seen if self.where == 'all' else slice(begin, end)]
        results['total_frames'] = results['keypoint'].shape[1]
        return results


@TRANSFORMS.register_module()
class FillGaps(BaseTransform):
    """Bridge frames in which a person is missing between two in which it is there, linearly, each person by itself.

    The frames before a person comes and after it has gone stay empty.

    Args:
        longest: the longest gap that is bridged, in frames; longer ones stay. None bridges all.

    Raises:
        ConfigError: a negative length.
    """

    def __init__(self, longest: int | None = 10) -> None:
        if longest is not None and longest < 0:
            raise ConfigError(f'FillGaps: longest={longest!r} must not be negative')
        self.longest = longest

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint``."""
        keypoint = results['keypoint'].copy()
        for person, there in zip(keypoint, present(keypoint), strict=True):
            seen = np.flatnonzero(there)
            steps = np.diff(seen)
            bridged = (steps > 1) & (steps - 1 <= (len(there) if self.longest is None else self.longest))
            for before, step in zip(seen[:-1][bridged], steps[bridged], strict=True):
                weight = (np.arange(1, step) / step).astype(keypoint.dtype)[:, None, None]
                person[before + 1 : before + step] = person[before] * (1 - weight) + person[before + step] * weight
        results['keypoint'] = keypoint
        return results
