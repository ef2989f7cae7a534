"""Crop, reversal and blur along time."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import Crop, GaussianBlur, TemporalFlip, generator
from tests.augment.clips import clips, spec


def blur(x, sigma, **kwargs):
    params = {'sigma': torch.full((len(x),), sigma, dtype=torch.float64)}
    return GaussianBlur(probability=1, **kwargs).apply(x, params, None)


def test_crop_draws_every_shift_both_ends_included():
    start = Crop(ratio=6).draw(spec(batch=4000, frames=24), generator(0, 0))['start']
    assert start.unique().tolist() == list(range(9))


@given(frames=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_temporal_flip_reverses_and_undoes_itself(frames, seed):
    op, x = TemporalFlip(), clips(frames=frames)
    params = op.draw(spec(frames=frames), generator(seed, 0))
    once = op.apply(x, params, None)
    assert torch.equal(once[params['applies']], torch.stack(x[params['applies']].unbind(2)[::-1], dim=2))
    assert torch.equal(op.apply(once, params, None), x)


@given(frames=st.integers(1, 24), taps=st.sampled_from([1, 3, 7, 15]), sigma=st.floats(0.1, 2), normalise=st.booleans())
def test_blur_is_the_weighted_sum_or_mean_of_the_frames_around(frames, taps, sigma, normalise):
    x = clips(1, frames, dtype=torch.float64)
    expected = torch.zeros_like(x)
    for t in range(frames):
        total = 0.0
        for s in range(max(0, t - taps // 2), min(frames, t + taps // 2 + 1)):
            weight = math.exp(-((t - s) ** 2) / (2 * sigma**2))
            expected[:, :, t] += weight * x[:, :, s]
            total += weight
        if normalise:
            expected[:, :, t] /= total
    torch.testing.assert_close(blur(x, sigma, taps=taps, normalise=normalise), expected)


@given(frames=st.integers(1, 70), sigma=st.floats(0.1, 2))
def test_blur_leaves_a_resting_body_where_it_is(frames, sigma):
    x = clips(4, 1, dtype=torch.float64).expand(-1, -1, frames, -1, -1)
    torch.testing.assert_close(blur(x, sigma), x)


@pytest.mark.parametrize(('sigma', 'scale'), [(0.1, 1.0), (0.5, 1.27), (1.0, 2.5), (2.0, 5.0)])
def test_released_blur_scales_the_clip(sigma, scale):
    x = torch.ones(1, 3, 40, 25, 1)
    assert blur(x, sigma, normalise=False)[0, 0, 20, 0, 0].item() == pytest.approx(scale, rel=0.01)
    assert blur(x, sigma)[0, 0, 20, 0, 0].item() == pytest.approx(1)


@given(st.floats(0.1, 2))
def test_blur_treats_both_directions_of_time_alike(sigma):
    x = clips(dtype=torch.float64)
    torch.testing.assert_close(blur(x.flip(2), sigma), blur(x, sigma).flip(2))


def test_blur_draws_its_width_between_the_limits():
    sigma = GaussianBlur(sigma=(0.5, 1.5)).draw(spec(batch=4000), generator(0, 0))['sigma']
    assert 0.5 <= sigma.min() < 0.51 and 1.49 < sigma.max() <= 1.5 and abs(sigma.mean() - 1) < 0.02
