"""Remove empty frames; fill gaps of persons and of joints."""

from itertools import pairwise

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.missing import fill_in_time, missing_joints, place_unseen, present
from skeattn.datasets.transforms.pipeline import Clip, coordinates
from skeattn.errors import ConfigError, DataError
from skeattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TrimEmpty(BaseTransform):
    """Remove frames in which no person is present.

    Args:
        where: ``'start'``, ``'end'``, ``'ends'`` (both), or ``'all'``: also those in between, which joins frames
            that were apart in time.

    Raises:
        ConfigError: unknown ``where``.
        DataError: no person is present in any frame.
    """

    def __init__(self, where: str = 'ends') -> None:
        if where not in ('start', 'end', 'ends', 'all'):
            raise ConfigError(f'TrimEmpty: where={where!r} is not one of start, end, ends, all')
        self.where = where

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint`` and ``total_frames``."""
        keypoint = results['keypoint']
        seen = np.flatnonzero(present(keypoint).any(axis=0))
        if not len(seen):
            raise DataError(f'{results["name"]}: no person is present in any frame (every value is zero or missing)')
        begin = 0 if self.where == 'end' else seen[0]
        end = keypoint.shape[1] if self.where == 'start' else seen[-1] + 1
        results['keypoint'] = keypoint[:, seen if self.where == 'all' else slice(begin, end)]
        results['total_frames'] = results['keypoint'].shape[1]
        return results


@TRANSFORMS.register_module()
class FillGaps(BaseTransform):
    """Fill the gaps of persons and of joints, each independently.

    * A person absent between two frames in which it is present is interpolated linearly. The frames before a person
      appears and after it has left stay empty.
    * A joint missing in a frame in which the person is present is interpolated linearly between the neighbouring
      frames that have it, however far apart; before the first and after the last of them it keeps that position.
    * A joint missing in the whole clip takes the position of the nearest joint of the skeleton tree, its parent first.

    Other channels, such as a score, are interpolated with their joint; those of a joint never seen stay 0. The clip
    receives ``filled``: how many joints (one per frame) were interpolated, and how many were never seen.

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
        present_frames = present(keypoint)
        lost = missing_joints(keypoint, D)
        filled = fill_in_time(keypoint, D, present_frames | self._bridged(present_frames))
        unseen = missing_joints(filled, D)
        results['keypoint'] = place_unseen(filled, D, results['layout']) if unseen.any() else filled
        never = int(unseen.any(axis=1).sum())
        results['filled'] = {'interpolated': int(lost.sum() - (lost & unseen).sum()), 'never seen': never}
        return results

    def _bridged(self, present_frames: np.ndarray) -> np.ndarray:
        """Frames ``(M, T)`` of the absences that are short enough."""
        bridged = np.zeros_like(present_frames)
        longest = present_frames.shape[1] if self.longest is None else self.longest
        for person, in_frame in zip(bridged, present_frames, strict=True):
            seen = np.flatnonzero(in_frame)
            for before, after in pairwise(seen.tolist()):
                person[before + 1 : after] = after - before - 1 <= longest
        return bridged
