"""Clips, batches and partners for the tests of the operations."""

import torch

from skeattn.augment import ClipSpec
from skeattn.skeletons import get_layout

LAYOUT = get_layout('ntu25')


def clips(n=6, frames=16, layout='ntu25', dtype=torch.float32):
    """Random clips ``(N, 3, T, V, 2)``; the second person is absent from every other clip."""
    V = get_layout(layout).num_joints
    x = torch.randn(n, 3, frames, V, 2, generator=torch.Generator().manual_seed(0), dtype=dtype)
    x[::2, ..., 1] = 0
    return x


def spec(batch=6, frames=16, layout='ntu25'):
    return ClipSpec(frames, get_layout(layout), batch)


def partners_in(x):
    """Partners as the preprocessor finds them, for a global batch ``x``."""
    return lambda shift: x[(torch.arange(len(x)) + shift) % len(x)]


# Operations that are the same in a whole batch, or change the number of frames or persons: they have no probability.
PARTIAL = {'CentralSpatialMasking', 'MotionAttentionTemporalMasking', 'PickPerson', 'TubeMask'}
# Every other operation, with the settings that show most on short clips.
OPS = {
    'Crop': {},
    'CropResize': {'min_frames': 4},
    'CropSample': {'min_frames': 4},
    'CentreFirst': {},
    'Shear': {},
    'SpatialFlip': {},
    'Rotate': {},
    'RandomRotation': {},
    'JointCorruption': {},
    'ScaleAxes': {},
    'LimbScale': {},
    'GaussianNoise': {},
    'GaussianBlur': {},
    'AxisMask': {},
    'TemporalFlip': {},
    'RandomJointMask': {'fill': 7.0},
    'SkeleAdaIN': {},
    'SkeleMix': {'units': (1, 3)},
    'TokenNoise': {},
}
