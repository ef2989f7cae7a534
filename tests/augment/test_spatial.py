"""Operations on joints and coordinates have their effects and their distributions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import (
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
    generator,
)
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
@pytest.mark.slow
def test_rotation_keeps_the_distances_between_joints(seed, layout):
    x = clips(layout=layout, dtype=torch.float64)
    out, _ = run(Rotate(main=180, other=90), x, layout, seed)
    before, after = ((y[:, :, :, :, None] - y[:, :, :, None]).norm(dim=1) for y in (x, out))
    torch.testing.assert_close(after, before)


def test_random_rotation_draws_three_angles_within_their_limits_of_either_sign():
    degrees = RandomRotation((10, 40, 0)).draw(spec(batch=4000), generator(0, 0))['degrees']
    for limit, angle in zip((10, 40), degrees.T[:2], strict=True):
        assert -limit <= angle.min() < -0.99 * limit and 0.99 * limit < angle.max() <= limit
        assert abs(angle.mean()) < 0.03 * limit and angle.std().item() == pytest.approx(limit / 3**0.5, rel=0.03)
    assert not degrees[:, 2].any()
    assert RandomRotation().draw(spec(batch=4000), generator(0, 0))['degrees'].deg2rad().abs().max().item() <= 0.3


@given(seed=SEEDS, layout=LAYOUTS)
@pytest.mark.slow
def test_random_rotation_keeps_distances_and_handedness(seed, layout):
    x = clips(layout=layout, dtype=torch.float64)
    out, _ = run(RandomRotation(180), x, layout, seed)
    before, after = ((y[:, :, :, :, None] - y[:, :, :, None]).norm(dim=1) for y in (x, out))
    torch.testing.assert_close(after, before)
    before, after = (torch.linalg.det(y[:, :, 0, :3, 0]) for y in (x, out))
    torch.testing.assert_close(after, before)


@given(seed=SEEDS, layout=LAYOUTS, ratio=st.floats(0.05, 1))
def test_corruption_changes_the_same_joints_in_every_frame(seed, layout, ratio):
    x = clips(layout=layout)
    out, params = run(JointCorruption(ratio), x, layout, seed)
    changed = (out != x)[..., 0].any(dim=1)
    assert (changed == params['joints'][:, None]).all()
    assert (params['joints'].sum(dim=1) == round(ratio * x.shape[3])).all()


def test_corruption_sets_joints_to_zero_in_half_of_the_draws_and_else_mixes_their_axes():
    x = clips(400)
    out, params = run(JointCorruption(), x)
    zero = ~params['matrix'].any(dim=(1, 2))
    assert abs(zero.double().mean() - 0.5) < 0.08
    joints = params['joints'][:, None, None, :, None].expand_as(x)
    assert not out[zero][joints[zero]].any()
    i = int((~zero).nonzero()[0])
    expected = torch.einsum('ctvm,cd->dtvm', x[i].double(), params['matrix'][i])
    torch.testing.assert_close(out[i][joints[i]], expected[joints[i]].float())
    entries = params['matrix'][~zero]
    assert -1 <= entries.min() < -0.98 and 0.98 < entries.max() <= 1
    share = params['joints'].double().mean(dim=0)
    torch.testing.assert_close(share, torch.full((25,), 0.6, dtype=torch.float64), rtol=0, atol=0.1)
    for probability in (0.0, 1.0):
        matrix = JointCorruption(zero_probability=probability).draw(spec(batch=50), generator(0, 0))['matrix']
        assert (~matrix.any(dim=(1, 2)) == bool(probability)).all()


def test_axes_are_scaled_by_a_factor_each_within_the_limits():
    x = clips(500, 2)
    out, params = run(ScaleAxes((0.5, 2)), x)
    torch.testing.assert_close(out, x * params['factors'].float().view(-1, 3, 1, 1, 1))
    factors = params['factors']
    assert 0.5 <= factors.min() < 0.51 and 1.99 < factors.max() <= 2 and abs(factors.mean() - 1.25) < 0.05


@given(seed=SEEDS, layout=st.sampled_from(['ntu25', 'kinect20', 'coco17']))
def test_bones_keep_their_direction_and_each_limb_has_one_factor(seed, layout):
    x, skeleton = clips(layout=layout, dtype=torch.float64), get_layout(layout)
    out, _ = run(LimbScale((0.5, 2)), x, layout, seed)
    before, after = (derive_stream(y, 'bone', skeleton)[..., 0] for y in (x, out))
    scale = ((after * before).sum(dim=1) / (before * before).sum(dim=1).clamp(min=1e-12))[:, :, :, None]
    torch.testing.assert_close(after, before * scale[:, None, :, :, 0])
    assert torch.equal(out[:, :, :, skeleton.root], x[:, :, :, skeleton.root])
    joints = {part: [j for j in members if j != skeleton.root] for part, members in skeleton.parts.items()}
    factor = {part: scale[:, :, members] for part, members in joints.items() if members}
    assert all(((value - value[:, :1, :1]).abs() < 1e-9).all() for value in factor.values())
    for side in ('arm', 'leg'):
        torch.testing.assert_close(factor[f'left_{side}'][:, 0, 0], factor[f'right_{side}'][:, 0, 0])
    assert not torch.isclose(factor['left_arm'][:, 0, 0], factor['left_leg'][:, 0, 0]).any()


def test_limb_factors_lie_within_the_limits_and_equal_ones_scale_the_body_about_its_root():
    x = clips(300, 2, dtype=torch.float64)
    x[..., 0] -= x[:, :, :, LAYOUT.root, 0][:, :, :, None].clone()
    out, _ = run(LimbScale(), x)
    scale = (derive_stream(out, 'bone', LAYOUT) / derive_stream(x, 'bone', LAYOUT))[
        :, 0, 0, LAYOUT.joint('left_knee'), 0
    ]
    assert 0.85 <= scale.min() < 0.86 and 1.14 < scale.max() <= 1.15
    doubled, _ = run(LimbScale((2, 2)), x)
    torch.testing.assert_close(doubled[..., 0], 2 * x[..., 0])


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
