"""Moving the origin onto the body."""

import numpy as np
from mmcv.transforms import BaseTransform

from skeattn.datasets.missing import locate, present
from skeattn.datasets.transforms.pipeline import Clip, coordinates, first_frame
from skeattn.errors import ConfigError
from skeattn.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Centre(BaseTransform):
    """Take coordinates relative to one joint, or to the mean of the joints that the layout defines for it.

    Where that joint is missing, its position interpolated in time is the origin
    (:func:`~skeattn.datasets.missing.locate`), so that a joint lost in some frames does not move the body. Missing
    joints stay missing.

    Args:
        joint: name or index of a joint, or ``'root'`` (the upper spine of ``ntu25``, as released) or ``'hip'``.
        reference: ``'frame'``: that joint of each person in each frame; global motion and the distance between two
            persons are lost (as released). ``'first'``: that joint of person 0 in the first frame with person 0.

    Raises:
        ConfigError: unknown reference or joint.
        DataError: with ``'first'``, person 0 is never present.
    """

    places = True

    def __init__(self, joint: str | int = 'root', reference: str = 'frame') -> None:
        if reference not in ('frame', 'first'):
            raise ConfigError(f'Centre: reference={reference!r} is neither "frame" nor "first"')
        self.joint = joint
        self.reference = reference

    def transform(self, results: Clip) -> Clip:
        """Shift ``keypoint``; absent persons stay zero. ``centred`` records the reference."""
        keypoint = results['keypoint']
        layout = results['layout']
        D = coordinates(results)
        origin = locate(keypoint, layout.joint(self.joint), D, layout) * (np.arange(keypoint.shape[-1]) < D)
        if self.reference == 'frame':
            results['keypoint'] = keypoint - origin[:, :, None]
        else:
            origin = origin[0, first_frame(results)]
            results['keypoint'] = (keypoint - origin) * present(keypoint)[:, :, None, None]
        results['centred'] = self.reference
        return results
