"""Clips receive pasted parts or statistics from a partner."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import SkeleAdaIN, SkeleMix, generator
from skeattn.augment.functional import adain, present
from skeattn.errors import ConfigError
from tests.augment.clips import LAYOUT, clips, spec

AXES = {'clip': (2, 3), 'frame': (3,)}


@given(seed=st.integers(0, 10**6), frames=st.sampled_from([8, 16, 30, 64]))
def test_skelemix_pastes_the_drawn_parts_and_nothing_else(seed, frames):
    op = SkeleMix(parts=(1, 4), units=(1, 2))
    x = torch.randn(5, 3, frames, 25, 2, generator=torch.Generator().manual_seed(0))
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


def test_skelemix_notes_the_pasted_cells_and_the_partner():
    op = SkeleMix(units=(1, 3), probability=0.5)
    params = op.draw(spec(64), generator(0, 0))
    notes, applies = op.notes(params, 16), params['applies']
    assert notes['grid'].shape == (64, 4, 25) and torch.equal(notes['shift'], params['shift'])
    assert torch.equal(notes['grid'][applies], op.mask(params, 16)[applies]) and not notes['grid'][~applies].any()


def test_released_shift_never_reaches_the_last_partner():
    op = SkeleMix(units=(1, 1), per='batch')
    shifts = {int(op.draw(spec(batch=4), generator(0, i))['shift'][0]) for i in range(100)}
    assert shifts == {1, 2}


@pytest.mark.parametrize('op', [SkeleMix(parts=(3, 6)), SkeleMix(units=(4, 7)), SkeleMix(units=(1, 1), per='batch')])
def test_a_skelemix_that_cannot_fit_is_refused(op):
    batch = 2 if op.per == 'batch' else 6
    with pytest.raises(ConfigError, match='parts and units must fit'):
        op.draw(spec(batch=batch), generator(0, 0))


def test_skeleadain_draws_every_partner_but_the_clip_itself():
    assert SkeleAdaIN().draw(spec(batch=500), generator(0, 0))['shift'].max() <= 499
    shifts = {int(SkeleAdaIN().draw(spec(batch=5), generator(0, i))['shift'][0]) for i in range(200)}
    assert shifts == {1, 2, 3, 4}


@pytest.mark.parametrize('statistics', AXES)
def test_skeleadain_gives_the_content_the_partners_statistics(statistics):
    content = torch.randn(4, 3, 16, 25, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    style = 3 * content.flip(0, 2) + torch.rand(4, 3, 16, 1, 2, dtype=torch.float64)
    op, over = SkeleAdaIN(statistics), AXES[statistics]
    out = op.apply(content, op.draw(spec(4), generator(0, 0)), lambda shift: style)
    torch.testing.assert_close(out.mean(over), style.mean(over))
    torch.testing.assert_close(out.std(over), style.std(over), rtol=1e-4, atol=0)
    shape, own = ((y - y.mean(over, keepdim=True)) / y.std(over, keepdim=True) for y in (out, content))
    torch.testing.assert_close(shape, own)


def test_statistics_of_the_clip_are_not_those_of_its_frames():
    x = clips()
    one, other = (adain(x, x.flip(0), over) for over in AXES.values())
    assert (one - other).abs().max() > 0.1


@pytest.mark.parametrize('over', AXES.values())
def test_styled_like_itself_a_clip_stays_itself(over):
    x = clips(dtype=torch.float64)
    torch.testing.assert_close(adain(x, x, over), x)


def test_adain_by_hand():
    content, style = torch.tensor([1.0, 3.0]), torch.tensor([10.0, 30.0])
    out = adain(content.view(1, 1, 2, 1, 1), style.view(1, 1, 2, 1, 1), (2, 3), eps=3.0)
    sigma_c, sigma_s = 4**0.5, 103**0.5  # population variances 1 and 100, plus eps
    torch.testing.assert_close(out.flatten(), sigma_s * torch.tensor([-1.0, 1.0]) / sigma_c + 20)


@pytest.mark.parametrize('over', AXES.values())
def test_a_person_absent_in_either_clip_is_left_unchanged(over):
    x = torch.randn(4, 3, 16, 25, 2, generator=torch.Generator().manual_seed(2))
    style = x.roll(1, 0).clone()
    x[0, ..., 1] = 0
    style[1, ..., 0] = 0
    out = adain(x, style, over)
    changed = present(out - x).flatten(1)
    assert changed.tolist() == [[True, False], [False, True], [True, True], [True, True]]
