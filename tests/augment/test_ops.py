"""Draws cover their range, each clip has its own, and applying them does what the name says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import Crop, Shear, SkeleMix, generator
from skeattn.augment import functional as F
from skeattn.augment.base import ClipSpec
from skeattn.errors import ConfigError
from skeattn.skeletons import get_layout

LAYOUT = get_layout('ntu25')


def clips(n=6, frames=16):
    return torch.randn(n, 3, frames, 25, 2, generator=torch.Generator().manual_seed(0))


def spec(batch=6, frames=16):
    return ClipSpec(frames, LAYOUT, batch)


def test_generators_depend_on_every_name():
    draws = {
        torch.rand(1, generator=generator(*args)).item()
        for args in ((0, 1, 'a'), (0, 2, 'a'), (1, 1, 'a'), (0, 1, 'b'))
    }
    assert len(draws) == 4
    assert torch.equal(torch.rand(3, generator=generator(5, 6, 'q')), torch.rand(3, generator=generator(5, 6, 'q')))


@given(frames=st.integers(4, 40), ratio=st.integers(1, 8), data=st.data())
def test_crop_is_a_window_of_the_mirrored_clip(frames, ratio, data):
    padding = frames // ratio
    start = data.draw(st.integers(0, 2 * padding))
    x = torch.arange(frames, dtype=torch.float32).view(1, 1, frames, 1, 1)
    line = list(range(frames))
    mirrored = line[:padding][::-1] + line + line[frames - padding :][::-1]
    out = F.crop(x, torch.tensor([start]), padding)
    assert out.flatten().tolist() == mirrored[start : start + frames]


def test_crop_draws_every_shift_both_ends_included():
    start = Crop(ratio=6).draw(spec(batch=4000, frames=24), generator(0, 0))['start']
    assert start.unique().tolist() == list(range(9))


def test_shear_draws_six_factors_a_clip_within_the_amplitude():
    factors = Shear(amplitude=0.3).draw(spec(batch=2000), generator(0, 0))['factors']
    assert factors.shape == (2000, 6)
    assert 0.29 < factors.abs().max() <= 0.3 and abs(factors.mean()) < 0.01


@pytest.mark.parametrize('op', [Crop(per='batch'), Shear(per='batch'), SkeleMix(units=(1, 3), per='batch')])
def test_one_draw_per_batch_is_a_switch(op):
    params = op.draw(spec(), generator(0, 0))
    assert all((value == value[:1]).all() for value in params.values())
    other = type(op)(units=(1, 3)) if isinstance(op, SkeleMix) else type(op)()
    drawn = other.draw(spec(batch=64), generator(0, 0))
    assert all((value != value[:1]).any() for value in drawn.values())


@given(seed=st.integers(0, 10**6), frames=st.sampled_from([8, 16, 30, 64]))
def test_skelemix_pastes_the_chosen_parts_and_nothing_else(seed, frames):
    op = SkeleMix(parts=(1, 4), units=(1, 2))
    x = clips(5, frames)
    params = op.draw(spec(5, frames), generator(seed, 0))
    assert ((params['shift'] >= 1) & (params['shift'] <= 4)).all()
    partners = x.roll(1, 0)
    out = op.apply(x, params, lambda shift: partners)
    mask = op.mask(params, frames)
    pasted = (out == partners).all(dim=(1, 4)) & ~(x == partners).all(dim=(1, 4))
    expected = mask.repeat_interleave(4, dim=1)[:, :frames]
    assert torch.equal(pasted, expected)
    assert torch.equal(out.permute(0, 2, 3, 1, 4)[~expected], x.permute(0, 2, 3, 1, 4)[~expected])
    parts = torch.stack([mask.any(1)[:, list(joints)].all(1) for joints in LAYOUT.parts.values()], dim=1).sum(1)
    assert ((parts >= 1) & (parts <= 4)).all()


def test_skelemix_draws_every_number_of_parts_and_units():
    op = SkeleMix(parts=(3, 4), units=(4, 7))
    params = op.draw(spec(3000, 64), generator(0, 0))
    assert params['num_units'].unique().tolist() == [4, 5, 6, 7]
    last = params['first_unit'] + params['num_units']
    assert params['first_unit'].min() == 0 and last.max() == 16
    counts = torch.stack([params['joints'][:, list(j)].all(1) for j in LAYOUT.parts.values()], dim=1).sum(1)
    assert counts.unique().tolist() == [3, 4]


def test_released_shift_never_reaches_the_last_partner():
    op = SkeleMix(units=(1, 1), per='batch')
    shifts = {int(op.draw(spec(batch=4), generator(0, i))['shift'][0]) for i in range(100)}
    assert shifts == {1, 2}


@pytest.mark.parametrize('op', [SkeleMix(parts=(3, 6)), SkeleMix(units=(4, 7)), SkeleMix(units=(1, 1), per='batch')])
def test_skelemix_that_cannot_fit_says_so(op):
    batch = 2 if op.per == 'batch' else 6
    with pytest.raises(ConfigError, match='parts and units must fit'):
        op.draw(spec(batch=batch), generator(0, 0))


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


def test_bad_settings_are_refused():
    for build in (lambda: Crop(ratio=0), lambda: SkeleMix(parts=(0, 2)), lambda: Shear(per='epoch')):
        with pytest.raises(ConfigError):
            build()
