"""The last step: one array per clip."""

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.transforms.pipeline import Clip
from skeattn.errors import ConfigError
from skeattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackClip(BaseTransform):
    """Write ``inputs`` ``(C, T, V, M)`` float32 from ``keypoint`` ``(M, T, V, C)``.

    Args:
        num_persons: M; further persons are dropped, missing ones are zero.

    Raises:
        ConfigError: ``num_persons`` is not positive.

    Attributes:
        packs: no step may follow.
    """

    packs = True

    def __init__(self, num_persons: int = 2) -> None:
        if num_persons < 1:
            raise ConfigError(f'PackClip: num_persons={num_persons!r} must be at least 1')
        self.num_persons = num_persons

    def transform(self, results: Clip) -> Clip:
        """Add ``inputs``."""
        keypoint = results['keypoint'][: self.num_persons]
        M, T, V, C = keypoint.shape
        inputs = np.zeros((C, T, V, self.num_persons), np.float32)
        inputs[..., :M] = keypoint.transpose(3, 1, 2, 0)
        results['inputs'] = inputs
        return results
