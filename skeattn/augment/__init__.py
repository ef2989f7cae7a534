"""Random augmentation, batched on the device: drawing parameters and applying them are separate."""

from skeattn.augment.base import Augment, ClipSpec
from skeattn.augment.masking import CentralSpatialMasking, MotionAttentionTemporalMasking
from skeattn.augment.mixing import SkeleAdaIN, SkeleMix
from skeattn.augment.seeding import generator
from skeattn.augment.spatial import (
    AxisMask,
    GaussianNoise,
    JointCorruption,
    LimbScale,
    RandomJointMask,
    RandomRotation,
    Rotate,
    ScaleAxes,
    Shear,
    SpatialFlip,
)
from skeattn.augment.temporal import Crop, CropResize, GaussianBlur, TemporalFlip
from skeattn.augment.tokens import TokenNoise

__all__ = [
    'Augment',
    'AxisMask',
    'CentralSpatialMasking',
    'ClipSpec',
    'Crop',
    'CropResize',
    'GaussianBlur',
    'GaussianNoise',
    'JointCorruption',
    'LimbScale',
    'MotionAttentionTemporalMasking',
    'RandomJointMask',
    'RandomRotation',
    'Rotate',
    'ScaleAxes',
    'Shear',
    'SkeleAdaIN',
    'SkeleMix',
    'SpatialFlip',
    'TemporalFlip',
    'TokenNoise',
    'generator',
]
