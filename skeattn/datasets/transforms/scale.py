"""Scale bodies to one size, independent of the camera's distance."""

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.missing import fill_in_time, missing_joints, present
from skeattn.datasets.transforms.pipeline import Clip, coordinates
from skeattn.registry import TRANSFORMS
from skeattn.skeletons import SkeletonLayout


@TRANSFORMS.register_module()
class ScaleBody(BaseTransform):
    """Use the trunk of person 0, from the lower to the upper end of the spine, as the unit of length.

    Its length is the median over the frames in which the joints of both ends are present: one number for all persons
    and frames of the clip, so that no person grows or shrinks in time. Pixels become comparable between cameras; scores
    are unchanged. Without such a frame, joints at the ends that are never seen are ignored, and the others interpolated
    in time. If an end of person 0 is never seen, the trunk of the next person is used; if no person has both ends, the
    unit is the median size of the bodies (the longest side of the box around the present joints), so that no clip stays
    in pixels. A clip in which that is also zero is unchanged.
    """

    places = True

    def transform(self, results: Clip) -> Clip:
        """Divide the coordinates of ``keypoint``."""
        keypoint, layout, D = results['keypoint'], results['layout'], coordinates(results)
        places = keypoint[..., :D]
        bodies = [person[frames] for person, frames in zip(places, present(keypoint), strict=True)]
        unit = next((trunk for body in bodies if (trunk := _trunk(body, layout)) > 0), 0.0)
        unit = unit or _size(np.concatenate(bodies))
        if unit > 0:
            divisor = np.where(np.arange(keypoint.shape[-1]) < D, unit, 1)
            results['keypoint'] = keypoint / divisor.astype(keypoint.dtype)
        return results


def _trunk(body: np.ndarray, layout: SkeletonLayout) -> float:
    """Median length over frames ``(T, V, D)``, 0 where an end is never seen."""
    lower, upper = (layout.locate(body, end) for end in layout.spine)
    lengths = np.linalg.norm(upper - lower, axis=-1)
    if np.isnan(lengths).all():
        D = body.shape[-1]
        ever = ~missing_joints(body[None], D)[0].all(axis=0)
        seen = [tuple(j for j in np.atleast_1d(end).tolist() if ever[j]) for end in layout.spine]
        if not all(seen):
            return 0.0
        filled = fill_in_time(body[None], D)[0]
        lengths = np.linalg.norm(layout.locate(filled, seen[1]) - layout.locate(filled, seen[0]), axis=-1)
    return float(np.median(lengths[~np.isnan(lengths)]))


def _size(bodies: np.ndarray) -> float:
    """Median over frames ``(T, V, D)`` of the longest side of the box around the present joints."""
    missing = np.isnan(bodies)
    highest, lowest = np.where(missing, -np.inf, bodies).max(axis=1), np.where(missing, np.inf, bodies).min(axis=1)
    return float(np.median((highest - lowest).max(axis=-1))) if len(bodies) else 0.0
