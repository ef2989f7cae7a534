"""Joints are lost on purpose, to measure how a pipeline and a method bear undetected joints."""

import zlib

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.missing import present
from skeattn.datasets.transforms.pipeline import Clip, coordinates
from skeattn.errors import ConfigError
from skeattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoseJoints(BaseTransform):
    """Make a random share of the joints of present persons missing, each joint and frame by itself.

    A lost joint has NaN coordinates and 0 in its other channels, as an undetected joint of a packed set. The draw
    depends on the seed and the clip's name alone: the same joints are lost in every epoch, process and order of clips.

    Args:
        share: probability that a joint is lost in a frame, in [0, 1].
        seed: of the draw.

    Raises:
        ConfigError: a share outside [0, 1].

    Attributes:
        loses: True; clips of a set without missing joints then have some, and are marked.
    """

    loses = True

    def __init__(self, share: float = 0.1, seed: int = 0) -> None:
        if not 0 <= share <= 1:
            raise ConfigError(f'LoseJoints: share={share!r} must be in [0, 1]')
        self.share, self.seed = share, seed

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint`` ``(M, T, V, C)``."""
        keypoint, D = results['keypoint'].copy(), coordinates(results)
        rng = np.random.default_rng([self.seed, zlib.crc32(results['name'].encode())])
        lost = (rng.random(keypoint.shape[:3]) < self.share) & present(keypoint)[..., None]
        keypoint[lost] = [np.nan] * D + [0] * (keypoint.shape[3] - D)
        results['keypoint'] = keypoint
        return results
