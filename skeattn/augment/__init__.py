"""Random augmentation, batched on the device: drawing parameters and applying them are separate."""

from skeattn.augment.base import Augment, ClipSpec
from skeattn.augment.masking import CentralSpatialMasking, MotionAttentionTemporalMasking, TubeMask
from skeattn.augment.mixing import SkeleAdaIN, SkeleMix
from skeattn.augment.persons import CentreFirst, PickPerson
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
from skeattn.augment.temporal import Crop, CropResize, CropSample, GaussianBlur, TemporalFlip
from skeattn.augment.tokens import TokenNoise

__all__ = [
    'Augment',
    'AxisMask',
    'CentralSpatialMasking',
    'CentreFirst',
    'ClipSpec',
    'Crop',
    'CropResize',
    'CropSample',
    'GaussianBlur',
    'GaussianNoise',
    'JointCorruption',
    'LimbScale',
    'MotionAttentionTemporalMasking',
    'PickPerson',
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
    'TubeMask',
    'generator',
]
