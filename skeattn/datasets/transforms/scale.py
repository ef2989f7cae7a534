"""Bodies to one size, whatever the camera's distance."""

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.transforms.pipeline import Clip, coordinates, present
from skeattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ScaleBody(BaseTransform):
    """Take the trunk of person 0, from the lower to the upper end of the spine, as unit of length.

    Its length is the median over the frames in which the person is there: one number for the clip, all its persons and
    frames, so that nobody grows or shrinks in time. Pixels become comparable between cameras; a score stays as it is.
    A clip in which that length is zero is left as it is.
    """

    def transform(self, results: Clip) -> Clip:
        """Divide the coordinates of ``keypoint``."""
        keypoint, layout, D = results['keypoint'], results['layout'], coordinates(results)
        body = keypoint[0, present(keypoint[:1])[0], :, :D]
        lower, upper = (layout.locate(body, end) for end in layout.spine)
        trunk = float(np.median(np.linalg.norm(upper - lower, axis=-1))) if len(body) else 0.0
        if trunk > 0:
            unit = np.where(np.arange(keypoint.shape[-1]) < D, trunk, 1)
            results['keypoint'] = keypoint / unit.astype(keypoint.dtype)
        return results
