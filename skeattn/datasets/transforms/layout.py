"""Convert clips from one skeleton layout to another."""

from collections.abc import Mapping
from typing import Any

from mmcv.transforms import BaseTransform

from skeattn.datasets.transforms.pipeline import Clip
from skeattn.registry import TRANSFORMS
from skeattn.skeletons import SkeletonLayout, corresponding, get_layout


@TRANSFORMS.register_module()
class ToLayout(BaseTransform):
    """Select the joints of another layout, by name and in its order; other joints are dropped.

    It comes first, so that the other steps see the layout that the model was trained with.

    Args:
        layout: name or definition of the layout, see :func:`~skeattn.skeletons.get_layout`.

    Raises:
        ConfigError: unknown layout, or one with joints that the clips lack.
    """

    def __init__(self, layout: str | Mapping[str, Any]) -> None:
        self.layout = get_layout(layout)

    def layout_after(self, layout: SkeletonLayout) -> SkeletonLayout:
        """The layout of clips that had ``layout``."""
        corresponding(layout, self.layout)
        return self.layout

    def transform(self, results: Clip) -> Clip:
        """Replace ``keypoint`` and ``layout``."""
        results['keypoint'] = results['keypoint'][:, :, list(corresponding(results['layout'], self.layout))]
        results['layout'] = self.layout
        return results
