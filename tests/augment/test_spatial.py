"""Shear, rotation, flip, axis mask, noise and joint mask have their effects and their distributions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import AxisMask, GaussianNoise, RandomJointMask, Rotate, Shear, SpatialFlip, generator
from skeattn.augment.functional import derive_stream
from skeattn.models import SkeletonPreprocessor
from skeattn.skeletons import get_layout
from tests.augment.clips import LAYOUT, clips, spec

LAYOUTS = st.sampled_from(['ntu25', 'kinect20'])
SEEDS = st.integers(0, 10**6)


def run(op, x, layout='ntu25', seed=0):
    params = op.draw(spec(len(x), x.shape[2], layout), generator(seed, 0))
    return op.apply(x, params, None), params


def test_shear_draws_six_factors_a_clip_within_the_amplitude():
    factors = Shear(amplitude=0.3).draw(spec(batch=2000), generator(0, 0))['factors']
    assert factors.shape == (2000, 6)
    assert 0.29 < factors.abs().max() <= 0.3 and abs(factors.mean()) < 0.01


def test_rotate_turns_one_axis_far_and_the_others_hardly():
    degrees = Rotate(main=30, other=1).draw(spec(batch=3000), generator(0, 0))['degrees']
    assert degrees.shape == (3000, 3) and degrees.min() >= 0 and 29.9 < degrees.max() <= 30
    assert ((degrees > 1).sum(dim=1) <= 1).all()
    assert degrees.sort(dim=1).values[:, :2].max() <= 1
    far = (degrees > 1).double().mean(dim=0)
    torch.testing.assert_close(far, torch.full((3,), 29 / 90, dtype=torch.float64), rtol=0, atol=0.04)


@given(seed=SEEDS, layout=LAYOUTS)
def test_rotation_keeps_the_distances_between_joints(seed, layout):
    x = clips(layout=layout, dtype=torch.float64)
    out, _ = run(Rotate(main=180, other=90), x, layout, seed)
    before, after = ((y[:, :, :, :, None] - y[:, :, :, None]).norm(dim=1) for y in (x, out))
    torch.testing.assert_close(after, before)


@given(seed=SEEDS, layout=LAYOUTS, mirror=st.booleans())
def test_spatial_flip_undoes_itself(seed, layout, mirror):
    op, x = SpatialFlip(mirror), clips(layout=layout)
    once, params = run(op, x, layout, seed)
    assert torch.equal(op.apply(once, params, None), x)


@pytest.mark.parametrize('mirror', [True, False])
@pytest.mark.parametrize('layout', ['ntu25', 'kinect20'])
def test_a_raised_left_hand_becomes_the_right_one(layout, mirror):
    joint = get_layout(layout).joint
    x = clips(1, layout=layout)
    out, _ = run(SpatialFlip(mirror, probability=1), x, layout)
    left, right = x[0, :, :, joint('left_hand')], out[0, :, :, joint('right_hand')]
    sign = torch.tensor([-1.0, 1, 1] if mirror else [1.0, 1, 1]).view(3, 1, 1)
    assert torch.equal(right, left * sign)
    assert torch.equal(out[0, 1:, :, joint('head')], x[0, 1:, :, joint('head')])


@pytest.mark.parametrize('stream', ['motion', 'bone'])
@pytest.mark.parametrize('layout', ['ntu25', 'kinect20'])
def test_a_flipped_clip_has_the_flipped_streams(layout, stream):
    op, x = SpatialFlip(probability=1), clips(layout=layout)
    flipped, _ = run(op, x, layout)
    expected, _ = run(op, derive_stream(x, stream, get_layout(layout)), layout)
    assert torch.equal(derive_stream(flipped, stream, get_layout(layout)), expected)


def test_axis_mask_empties_one_axis_any_of_the_three():
    x = clips(60)
    out, params = run(AxisMask(probability=1), x)
    for before, after, axis in zip(x, out, params['axis'].tolist(), strict=True):
        assert after[axis].abs().max() == 0
        others = [a for a in range(3) if a != axis]
        assert torch.equal(after[others], before[others])
    assert params['axis'].unique().tolist() == [0, 1, 2]


def test_noise_is_normal_with_its_deviation_and_new_for_every_clip():
    x = clips(40, 64)
    out, _ = run(GaussianNoise(std=0.01, probability=1), x)
    noise = (out - x)[..., 0]
    assert abs(noise.mean()) < 1e-4 and noise.std().item() == pytest.approx(0.01, rel=0.01)
    within = (noise.abs() < 0.01).double().mean().item()
    assert within == pytest.approx(0.6827, abs=0.005)
    correlation = (noise * noise.roll(1, 0)).mean(dim=(1, 2, 3)) / 0.01**2
    assert correlation.abs().max() < 0.08


def test_released_noise_makes_a_person_of_nobody():
    x = clips()
    out, _ = run(GaussianNoise(absent=True, probability=1), x)
    assert out[::2, ..., 1].std().item() == pytest.approx(0.01, rel=0.1)
    sound, _ = run(GaussianNoise(probability=1), x)
    assert sound[::2, ..., 1].abs().max() == 0
    assert torch.equal(sound[1::2], out[1::2]) and torch.equal(sound[..., 0], out[..., 0])


@given(seed=SEEDS, layout=LAYOUTS, ratio=st.floats(0.05, 1))
def test_joint_mask_hides_the_same_number_in_every_frame(seed, layout, ratio):
    x = clips(layout=layout)
    out, params = run(RandomJointMask(ratio, fill=9.0), x, layout, seed)
    V, masked = x.shape[3], params['masked']
    assert masked.shape == (6, 16, V) and (masked.sum(dim=2) == int(V * ratio)).all()
    where = masked[:, None, :, :, None].expand_as(x)
    assert (out[where] == 9).all() and torch.equal(out[~where], x[~where])


def test_joint_mask_differs_between_frames_and_reaches_every_joint():
    masked = RandomJointMask(ratio=0.1).draw(spec(batch=200), generator(0, 0))['masked']
    share = masked.double().mean(dim=(0, 1))
    torch.testing.assert_close(share, torch.full((25,), 2 / 25, dtype=torch.float64), rtol=0, atol=0.03)
    same = (masked[:, 1:] == masked[:, :-1]).all(dim=2).double().mean()
    assert same < 0.02  # by chance one pair of frames in 300


def test_joint_mask_without_a_fill_only_notes_the_mask():
    x = clips()
    op = RandomJointMask(probability=0.5)
    out, params = run(op, x)
    assert torch.equal(out, x)
    masked, applies = op.notes(params, 16)['masked'], params['applies']
    assert applies.any() and not applies.all()
    assert torch.equal(masked[applies], params['masked'][applies]) and not masked[~applies].any()


def test_the_model_receives_the_mask_with_the_view():
    views = {'stronger': {'mask': {'type': 'RandomJointMask', 'ratio': 0.2, 'fill': 5.0, 'on': 'stream'}}}
    preprocessor = SkeletonPreprocessor('ntu25', stream='motion', views=views)
    preprocessor.begin_iteration(0, 0)
    x = clips()
    inputs = preprocessor({'inputs': x, 'labels': torch.zeros(6)}, training=True)['inputs']
    masked = inputs['stronger.masked']
    assert masked.shape == (6, 16, 25) and (masked.sum(dim=2) == 5).all()
    motion = derive_stream(x, 'motion', LAYOUT).masked_fill(masked[:, None, :, :, None], 5.0)
    assert torch.equal(inputs['stronger'], motion.permute(0, 4, 1, 2, 3))
