"""Random augmentation, batched on the device: drawing parameters and applying them are apart."""

from skeattn.augment.draws import generator
from skeattn.augment.ops import Augment, Crop, Shear, SkeleMix

__all__ = ['Augment', 'Crop', 'Shear', 'SkeleMix', 'generator']
