"""Bring every clip to the same number of frames without changing its speed."""

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.transforms.pipeline import Clip
from skeattn.errors import ConfigError
from skeattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PadFrames(BaseTransform):
    """Append empty (all-zero) frames up to ``num_frames``; a longer clip loses its end.

    The supervised ST-GCN is trained on 300 raw frames, as many as the longest clip of NTU RGB+D has.

    Args:
        num_frames: frames of the result.

    Raises:
        ConfigError: fewer than one frame requested.
    """

    def __init__(self, num_frames: int = 300) -> None:
        if num_frames < 1:
            raise ConfigError(f'PadFrames: num_frames={num_frames!r} must be positive')
        self.num_frames = num_frames

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint`` and ``total_frames``."""
        keypoint = results['keypoint'][:, : self.num_frames]
        M, T, V, C = keypoint.shape
        empty = np.zeros((M, self.num_frames - T, V, C), keypoint.dtype)
        results['keypoint'] = np.concatenate([keypoint, empty], axis=1)
        results['total_frames'] = self.num_frames
        return results

    def native(self) -> None:
        """No step: a clip at its native length is neither padded nor cut."""


@TRANSFORMS.register_module()
class Window(BaseTransform):
    """Keep ``num_frames`` consecutive frames of a longer clip; a shorter one is unchanged (PadFrames pads it).

    Args:
        num_frames: frames of the result.
        begin: the first frame kept, limited so that ``num_frames`` follow; by default the middle is kept.

    Raises:
        ConfigError: fewer than one frame requested, or a negative begin.
    """

    def __init__(self, num_frames: int, begin: int | None = None) -> None:
        if num_frames < 1 or (begin or 0) < 0:
            raise ConfigError(f'Window: num_frames={num_frames!r} must be positive, begin={begin!r} not negative')
        self.num_frames, self.begin = num_frames, begin

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint`` and ``total_frames``."""
        spare = max(0, results['keypoint'].shape[1] - self.num_frames)
        begin = spare // 2 if self.begin is None else min(self.begin, spare)
        results['keypoint'] = results['keypoint'][:, begin : begin + self.num_frames]
        results['total_frames'] = results['keypoint'].shape[1]
        return results
