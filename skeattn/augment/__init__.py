"""Random augmentation, batched on the device: drawing parameters and applying them are apart."""

from skeattn.augment.base import Augment, ClipSpec
from skeattn.augment.draws import generator
from skeattn.augment.ops import Crop, Shear, SkeleMix

__all__ = ['Augment', 'ClipSpec', 'Crop', 'Shear', 'SkeleMix', 'generator']
