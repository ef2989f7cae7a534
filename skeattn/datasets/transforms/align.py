"""Turning the body to face one way, whatever the camera.

The camera's y axis points up; the body's x axis runs from the left to the right shoulder. Points turn about y by
``x' = x cos - z sin, z' = x sin + z cos``.
"""

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.missing import locate
from skeattn.datasets.transforms.pipeline import Clip, coordinates
from skeattn.errors import ConfigError
from skeattn.registry import TRANSFORMS
from skeattn.skeletons import SkeletonLayout

# Bodies smaller than this (metres) have no direction.
_DEGENERATE = 1e-4


def yaw_per_frame(keypoint: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """Turn each person in each frame so that the shoulders lie along x, as the releases do.

    All frames of a person turn the same way, given by the sign of the shoulders' summed z; frames of the other sign
    are turned away from x. The body's heading is removed from the data.

    Args:
        keypoint: ``(M, T, V, 3)``.
    """
    left, right = (locate(keypoint, shoulder, 3, layout) for shoulder in layout.shoulders)
    across = right.astype(np.float64) - left
    across[..., 1] = 0
    angle = np.arccos(across[..., 0] / (np.linalg.norm(across, axis=-1) + 1e-4))
    sign = np.where(across[..., 2].sum(axis=1, keepdims=True) >= 0, -1, 1)
    return _turn(keypoint, sign * angle)


def yaw_of_first(keypoint: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """Turn the whole scene by one angle, so that person 0's shoulders lie along x where they are first seen."""
    left, right = layout.shoulders
    across = (keypoint[0, :, right] - keypoint[0, :, left]).astype(np.float64)
    usable = np.flatnonzero(np.hypot(across[:, 0], across[:, 2]) > _DEGENERATE)
    if not len(usable):
        return keypoint
    x, _, z = across[usable[0]]
    return _turn(keypoint, np.full(keypoint.shape[:2], -np.arctan2(z, x)))


def body_of_first(keypoint: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """Turn the whole scene in 3-D: person 0's spine along y, its shoulders along x, where both are first seen."""
    lower, upper = layout.spine
    left, right = layout.shoulders
    up = (layout.locate(keypoint[0], upper) - layout.locate(keypoint[0], lower)).astype(np.float64)
    across = (keypoint[0, :, right] - keypoint[0, :, left]).astype(np.float64)
    height = np.linalg.norm(up, axis=1, keepdims=True)
    up = up / np.maximum(height, _DEGENERATE)
    across = across - (across * up).sum(axis=1, keepdims=True) * up
    width = np.linalg.norm(across, axis=1, keepdims=True)
    usable = np.flatnonzero((height > _DEGENERATE) & (width > _DEGENERATE))
    if not len(usable):
        return keypoint
    first = usable[0]
    x, y = across[first] / width[first], up[first]
    return keypoint @ np.stack([x, y, np.cross(x, y)], axis=1).astype(keypoint.dtype)


def _turn(keypoint: np.ndarray, angle: np.ndarray) -> np.ndarray:
    cos, sin = (f(angle).astype(keypoint.dtype)[:, :, None] for f in (np.cos, np.sin))
    x, y, z = np.moveaxis(keypoint, -1, 0)
    return np.stack([x * cos - z * sin, y, x * sin + z * cos], axis=-1)


_MODES = {'yaw_frame': yaw_per_frame, 'yaw_first': yaw_of_first, 'body_first': body_of_first}


@TRANSFORMS.register_module()
class AlignView(BaseTransform):
    """Turn the bodies to one view.

    Where a shoulder is missing, ``yaw_frame`` interpolates its position in time; the other modes take the first
    frame in which the joints that they read are present. A body without direction (shoulders or spine of no length in
    every frame) is left unchanged.

    Args:
        mode: ``'yaw_frame'`` (as released), ``'yaw_first'``, ``'body_first'`` or ``'none'``.

    Raises:
        ConfigError: unknown mode, or coordinates that are not 3-D.
    """

    places = True

    def __init__(self, mode: str = 'yaw_frame') -> None:
        if mode not in (*_MODES, 'none'):
            raise ConfigError(f'AlignView: mode={mode!r} is not one of {", ".join(_MODES)}, none')
        self.mode = mode

    def transform(self, results: Clip) -> Clip:
        """Rotate ``keypoint``; absent persons stay zero, missing joints stay missing."""
        if self.mode == 'none':
            return results
        keypoint = results['keypoint']
        if (D := coordinates(results)) != 3:
            raise ConfigError(f'AlignView: {results["name"]} has {D} coordinates per joint, not 3; set align=None')
        turned = _MODES[self.mode](keypoint[..., :D], results['layout'])
        results['keypoint'] = np.concatenate([turned, keypoint[..., D:]], axis=-1)
        return results
