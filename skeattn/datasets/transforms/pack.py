"""The last step: one array per clip."""

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.missing import missing_joints
from skeattn.datasets.transforms.pipeline import Clip, coordinates
from skeattn.errors import ConfigError
from skeattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackClip(BaseTransform):
    """Write ``inputs`` ``(C, T, V, M)`` float32 from ``keypoint`` ``(M, T, V, C)``.

    A joint that is still missing is put at the origin if ``Centre(reference='frame')`` placed the origin in the body,
    otherwise at the mean of the person's present joints; its other channels are 0. ``missing`` ``(T, V, M)``
    marks such joints: motions and bones that they enter are 0.

    Args:
        num_persons: M; further persons are dropped, absent ones are zero.

    Raises:
        ConfigError: ``num_persons`` is not positive.

    Attributes:
        packs: True; no step may follow.
    """

    packs = True

    def __init__(self, num_persons: int = 2) -> None:
        if num_persons < 1:
            raise ConfigError(f'PackClip: num_persons={num_persons!r} must be at least 1')
        self.num_persons = num_persons

    def transform(self, results: Clip) -> Clip:
        """Add ``inputs`` and ``missing``."""
        keypoint, D = results['keypoint'][: self.num_persons], coordinates(results)
        M, T, V, C = keypoint.shape
        lost = missing_joints(keypoint, D)
        if lost.any():
            keypoint = _placed(keypoint, lost, D, centred=results.get('centred') == 'frame')
        inputs, missing = np.zeros((C, T, V, self.num_persons), np.float32), np.zeros((T, V, self.num_persons), bool)
        inputs[..., :M], missing[..., :M] = keypoint.transpose(3, 1, 2, 0), lost.transpose(1, 2, 0)
        results['inputs'], results['missing'] = inputs, missing
        return results


def _placed(keypoint: np.ndarray, lost: np.ndarray, D: int, centred: bool) -> np.ndarray:
    """The joints with the missing ones on the body: at the origin, or at the mean of the present ones."""
    kept = np.where(lost[..., None], 0, keypoint)
    if centred:
        return kept
    mean = kept.sum(axis=2) / np.maximum((~lost).sum(axis=2), 1)[..., None] * (np.arange(keypoint.shape[-1]) < D)
    return np.where(lost[..., None], mean[:, :, None], keypoint)
