"""Empty frames are removed at the ends; gaps of persons and of joints are filled."""

from itertools import pairwise

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.missing import fill_in_time, missing_joints, place_unseen, present
from skeattn.datasets.transforms.pipeline import Clip, coordinates
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
            raise DataError(f'{results["name"]}: nobody is there in any frame (every value is zero or missing)')
        begin = 0 if self.where == 'end' else seen[0]
        end = keypoint.shape[1] if self.where == 'start' else seen[-1] + 1
        results['keypoint'] = keypoint[:, seen if self.where == 'all' else slice(begin, end)]
        results['total_frames'] = results['keypoint'].shape[1]
        return results


@TRANSFORMS.register_module()
class FillGaps(BaseTransform):
    """Fill the gaps of persons and of joints, each by itself.

    * A person absent between two frames in which it is there is interpolated linearly. The frames before a person comes
      and after it has gone stay empty.
    * A joint missing in a frame in which the person is there is interpolated linearly between its own neighbouring
      frames, however far apart; before the first and after the last of them it stays where it was seen.
    * A joint missing in the whole clip is put where the nearest joint of the skeleton's tree is, its parent first.

    Other channels, such as a score, are interpolated with their joint; that of a joint never seen stays 0. The clip
    then has ``filled``: how many joints (one a frame) were interpolated, and how many were never seen.

    Args:
        longest: the longest absence of a person that is bridged, in frames; longer ones stay. None bridges all.

    Raises:
        ConfigError: a negative length.
    """

    def __init__(self, longest: int | None = 10) -> None:
        if longest is not None and longest < 0:
            raise ConfigError(f'FillGaps: longest={longest!r} must not be negative')
        self.longest = longest

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint``; add ``filled``."""
        keypoint, D = results['keypoint'], coordinates(results)
        there = present(keypoint)
        lost = missing_joints(keypoint, D)
        filled = fill_in_time(keypoint, D, there | self._bridged(there))
        unseen = missing_joints(filled, D)
        results['keypoint'] = place_unseen(filled, D, results['layout']) if unseen.any() else filled
        never = int(unseen.any(axis=1).sum())
        results['filled'] = {'interpolated': int(lost.sum() - (lost & unseen).sum()), 'never seen': never}
        return results

    def _bridged(self, there: np.ndarray) -> np.ndarray:
        """Frames ``(M, T)`` of the absences that are short enough."""
        bridged = np.zeros_like(there)
        longest = there.shape[1] if self.longest is None else self.longest
        for person, in_frame in zip(bridged, there, strict=True):
            seen = np.flatnonzero(in_frame)
            for before, after in pairwise(seen.tolist()):
                person[before + 1 : after] = after - before - 1 <= longest
        return bridged
