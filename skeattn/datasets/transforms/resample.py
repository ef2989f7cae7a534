"""Bring every clip to the same number of frames."""

import copy

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.missing import present
from skeattn.datasets.transforms.pipeline import Clip
from skeattn.errors import ConfigError, DataError
from skeattn.registry import TRANSFORMS


def resample(keypoint: np.ndarray, num_frames: int, blend_absent: bool = True) -> np.ndarray:
    """Linear interpolation in time at ``(i + 0.5) T / num_frames - 0.5``, clamped at both ends, without smoothing.

    Between a frame in which a joint is present and one in which it is missing, the nearer frame is used.

    Args:
        keypoint: ``(M, T, V, C)``.
        num_frames: frames of the result.
        blend_absent: see :class:`Resample`.
    """
    T = keypoint.shape[1]
    position = np.clip((np.arange(num_frames) + 0.5) * (T / num_frames) - 0.5, 0, T - 1)
    before = position.astype(int)
    after = np.minimum(before + 1, T - 1)
    weight = (position - before).astype(keypoint.dtype)[:, None, None]
    blend = keypoint[:, before] * (1 - weight) + keypoint[:, after] * weight
    missing = np.isnan(blend)
    if blend_absent and not missing.any():
        return blend
    nearest = np.where(weight[:, 0, 0] < 0.5, before, after)
    if not blend_absent:
        visible = present(keypoint)
        missing |= ~(visible[:, before] & visible[:, after])[:, :, None, None]
    lost = missing.any(axis=3, keepdims=True)
    return np.where(lost, keypoint[:, nearest], blend)


@TRANSFORMS.register_module()
class Resample(BaseTransform):
    """Resample the first ``length`` frames to ``num_frames``.

    Args:
        num_frames: frames of the result.
        length: ``'released'``: the number of frames in which person 0 is present, counted over the whole clip but
            cut from its start, so empty frames at the start are kept and the end is lost; ``'all'``: every frame. A
            frame counts if any joint is present; the release asks joint 1 alone, and does not count a frame in which it
            lies exactly at the origin.
        blend_absent: True, as released: between a frame in which a person is present and one in which it is absent, the
            person shrinks towards the origin. False: the nearer of the two frames is taken.

    Raises:
        ConfigError: unknown length rule or fewer than one frame requested.
        DataError: the length is 0.
    """

    def __init__(self, num_frames: int = 64, length: str = 'released', blend_absent: bool = True) -> None:
        if length not in ('released', 'all') or num_frames < 1:
            raise ConfigError(
                f'Resample: num_frames={num_frames!r} must be positive and length={length!r} "released" or "all"'
            )
        self.num_frames: int | None = num_frames
        self.length = length
        self.blend_absent = blend_absent

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint`` and ``total_frames``."""
        keypoint = results['keypoint']
        length = keypoint.shape[1] if self.length == 'all' else int(present(keypoint[:1]).sum())
        if not length:
            raise DataError(f'{results["name"]}: person 0 is absent in every frame')
        keypoint = keypoint[:, :length]
        if self.num_frames is not None:
            keypoint = resample(keypoint, self.num_frames, self.blend_absent)
        results['keypoint'], results['total_frames'] = keypoint, keypoint.shape[1]
        return results

    def native(self) -> 'Resample':
        """The step that keeps the first ``length`` frames as they are."""
        step = copy.copy(self)
        step.num_frames = None
        return step
