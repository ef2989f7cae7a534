"""Streams of clips and rotations have known values."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import functional as F
from skeattn.errors import ConfigError
from skeattn.skeletons import get_layout
from tests.augment.clips import LAYOUT, clips

RIGHT = math.pi / 2


def test_motion_and_bone_streams_of_a_known_clip():
    x = torch.zeros(1, 3, 4, 25, 1)
    x[:, :1] = torch.tensor([0.0, 1.0, 3.0, 6.0]).view(1, 1, 4, 1, 1)
    assert F.derive_stream(x, 'motion', LAYOUT)[0, 0, :, 0, 0].tolist() == [1, 2, 3, 0]
    assert F.derive_stream(x, 'bone', LAYOUT).abs().max() == 0
    x[0, 1, :, LAYOUT.joint('head')] = 2.0
    bone = F.derive_stream(x, 'bone', LAYOUT)
    assert bone[0, 1, 0, LAYOUT.joint('head'), 0] == 2 and bone.abs().sum() == 2 * 4


def test_wrong_streams_and_layouts_are_refused():
    with pytest.raises(ConfigError, match='joint, motion, bone'):
        F.derive_stream(clips(), 'bones', LAYOUT)
    with pytest.raises(ConfigError, match="25 joints, layout 'kinect20' has 20"):
        F.derive_stream(clips(), 'joint', get_layout('kinect20'))


@pytest.mark.parametrize(
    ('angles', 'point', 'expected'),
    [
        ((RIGHT, 0, 0), (0, 1, 0), (0, 0, -1)),
        ((0, RIGHT, 0), (1, 0, 0), (0, 0, 1)),
        ((0, 0, RIGHT), (0, 1, 0), (1, 0, 0)),
        ((RIGHT, RIGHT, RIGHT), (0, 1, 0), (0, -1, 0)),  # x: to -z, y: to +x, z: to -y
    ],
)
def test_quarter_turns_about_x_then_y_then_z(angles, point, expected):
    R = F.rotation_matrix(torch.tensor([angles], dtype=torch.float64))[0]
    turned = R @ torch.tensor(point, dtype=torch.float64)
    torch.testing.assert_close(turned, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


@given(st.lists(st.floats(-7, 7), min_size=3, max_size=3))
def test_rotations_keep_lengths_and_handedness(angles):
    R = F.rotation_matrix(torch.tensor([angles], dtype=torch.float64))[0]
    torch.testing.assert_close(R @ R.T, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(R).item() == pytest.approx(1)


@given(frames=st.integers(4, 40), ratio=st.integers(1, 8), data=st.data())
def test_crop_is_a_window_of_the_mirrored_clip(frames, ratio, data):
    padding = frames // ratio
    start = data.draw(st.integers(0, 2 * padding))
    x = torch.arange(frames, dtype=torch.float32).view(1, 1, frames, 1, 1)
    line = list(range(frames))
    mirrored = line[:padding][::-1] + line + line[frames - padding :][::-1]
    out = F.crop(x, torch.tensor([start]), padding)
    assert out.flatten().tolist() == mirrored[start : start + frames]


def test_a_person_is_present_who_is_not_zero_everywhere():
    x = torch.zeros(2, 3, 4, 25, 2)
    x[0, 2, 3, 7, 1] = -0.5
    assert F.present(x).flatten(1).tolist() == [[False, True], [False, False]]
