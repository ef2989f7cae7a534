"""Crop, reversal and blur along time."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import Crop, CropResize, CropSample, GaussianBlur, TemporalFlip, generator
from skeattn.datasets.transforms.resample import resample
from skeattn.errors import ConfigError
from tests.augment.clips import clips, spec


def crop(op, x, seed=0, T=16, **facts):
    params = op.draw(spec(len(x), T), generator(seed, 0))
    return op.apply(x, {**params, **facts}, None), params


def blur(x, sigma, **kwargs):
    params = {'sigma': torch.full((len(x),), sigma, dtype=torch.float64)}
    return GaussianBlur(probability=1, **kwargs).apply(x, params, None)


@pytest.mark.parametrize('normalise', [True, False])
def test_a_missing_joint_has_no_part_in_a_blur_and_stays_missing(normalise):
    """A body rests; a joint that is lost for some frames lies in the origin there, as the pipeline leaves it."""
    body = torch.arange(1.0, 6.0, dtype=torch.float64)[None, None, None, :, None].expand(2, 3, 24, 5, 1).clone()
    whole, seen = blur(body, 2.0, normalise=normalise), torch.ones(2, 1, 24, 5, 1, dtype=torch.bool)
    seen[0, :, 8:16, 2] = False
    x = torch.cat([body * seen, seen.double()], dim=1)
    params = {'sigma': torch.full((2,), 2.0, dtype=torch.float64), 'seen': seen}
    out = GaussianBlur(probability=1, normalise=normalise).apply(x, params, None)
    torch.testing.assert_close(out[:, :-1], whole * seen)
    assert torch.equal(out[:, -1:], x[:, -1:])


def test_crop_draws_every_shift_both_ends_included():
    start = Crop(ratio=6).draw(spec(batch=4000, frames=24), generator(0, 0))['start']
    assert start.unique().tolist() == list(range(9))


SOME_FRAMES = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@given(frames=SOME_FRAMES, T=st.integers(1, 30), seed=st.integers(0, 10**6), shortest=st.integers(1, 20))
def test_crop_resize_resamples_a_piece_of_each_clip_and_reads_nothing_behind_its_end(frames, T, seed, shortest):
    n = torch.tensor(frames)
    x = clips(len(frames), 40, dtype=torch.float64)
    x.transpose(1, 2)[torch.arange(40) >= n[:, None]] = torch.nan
    out, params = crop(CropResize((0.3, 0.9), shortest), x, seed, T, frames=n)
    start, length = CropResize((0.3, 0.9), shortest).piece(params, n)
    assert (length == (n * params['share']).floor().clamp(min=shortest).minimum(n)).all()
    assert (start >= 0).all() and (start + length <= n).all()
    for clip, whole, a, L in zip(out, x, start.tolist(), length.tolist(), strict=True):
        piece = whole[:, a : a + L].permute(3, 1, 2, 0).numpy()
        expected = torch.from_numpy(resample(piece, T)).permute(3, 1, 2, 0)
        torch.testing.assert_close(clip, expected)


def test_crop_resize_draws_shares_and_every_start():
    op = CropResize((0.5, 1), min_frames=1)
    n = torch.full((6000,), 10)
    params = op.draw(spec(batch=6000), generator(0, 0))
    start, length = op.piece(params, n)
    assert length.unique().tolist() == [5, 6, 7, 8, 9]  # 10 has no chance: p < 1
    share = torch.bincount(length)[5:] / 6000
    torch.testing.assert_close(share, torch.full((5,), 0.2), rtol=0, atol=0.02)
    for L in range(5, 10):
        starts = torch.bincount(start[length == L]) / (length == L).sum()
        torch.testing.assert_close(starts, torch.full((11 - L,), 1 / (11 - L)), rtol=0, atol=0.05)


@given(n=st.integers(1, 40), share=st.floats(0.05, 1))
def test_a_centred_crop_leaves_out_as_many_frames_at_both_ends(n, share):
    op = CropResize((share, share), place='centre')
    start, length = op.piece({'share': torch.tensor([share], dtype=torch.float64)}, torch.tensor([n]))
    assert start == int((1 - share) * n / 2) and n == 2 * start + length


def test_a_clip_that_is_not_cropped_is_resized_whole_and_the_operation_can_set_its_frames():
    x = clips(8, 30, dtype=torch.float64)
    out, params = crop(CropResize((0.2, 0.3), 4, num_frames=10, probability=0.5), x)
    whole, _ = crop(CropResize((1, 1), num_frames=10), x)
    assert out.shape[2] == 10 and params['applies'].any() and not params['applies'].all()
    assert [torch.equal(a, b) for a, b in zip(out, whole, strict=True)] == (~params['applies']).tolist()


@pytest.mark.parametrize('blend_absent', [True, False])
def test_crop_resize_treats_missing_joints_and_absent_persons_as_resample_does(blend_absent):
    x = clips(1, 12, dtype=torch.float64)
    x[0, :, 4:7, :, 0] = 0  # absent for a while
    seen = torch.ones(1, 1, 12, 25, 2, dtype=torch.bool)
    seen[0, 0, 2, 7, 0] = seen[0, 0, 10, 3, 0] = False
    keypoint = torch.where(seen, x, torch.nan)[0].permute(3, 1, 2, 0).numpy()
    expected = torch.from_numpy(resample(keypoint, 20, blend_absent)).permute(3, 1, 2, 0)
    op = CropResize((1, 1), blend_absent=blend_absent)
    marked = torch.cat([x, seen.to(x)], dim=1)
    out, _ = crop(op, marked, T=20, seen=seen)
    lost = expected.isnan().any(dim=0)
    assert torch.equal(out[0, 3] == 0, lost) and torch.equal(out[0, 3] == 1, ~lost) and lost.any()
    torch.testing.assert_close(out[0, :3].masked_fill(lost, 0), expected.masked_fill(lost, 0))


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


def positions(op, length, draws=1):
    params = op.draw(spec(draws), generator(0, 0))
    return op.positions(params, torch.full((draws,), length))


@given(L=st.integers(8, 60))
def test_crop_sample_draws_frames_of_long_pieces_and_interpolates_short_ones(L):
    """As SLiM's views: one of each segment, skips of a frame, or all frames."""
    T = 12
    drawn = positions(CropSample(num_frames=T), L, 300)
    if L < T:
        grid = ((torch.arange(T, dtype=torch.float64) + 0.5) * L / T - 0.5).clamp(0, L - 1)
        assert torch.allclose(drawn, grid.expand_as(drawn))
        return
    assert torch.equal(drawn, drawn.floor()) and drawn.min() >= 0 and drawn.max() <= L - 1
    steps = drawn.diff(dim=1)
    assert steps.min() >= 1
    if L < 2 * T:
        assert steps.max() <= 2 and drawn[:, 0].max() <= 1
    else:
        bounds = torch.tensor([i * L // T for i in range(T + 1)])
        assert (drawn >= bounds[:-1]).all() and (drawn < bounds[1:]).all()


def test_every_frame_of_a_segment_and_every_place_of_a_skip_is_drawn_alike():
    drawn = positions(CropSample(num_frames=8), 40, 5000)
    for t in range(8):
        shares = torch.bincount(drawn[:, t].long() - 5 * t, minlength=5) / 5000
        torch.testing.assert_close(shares, torch.full((5,), 0.2), rtol=0, atol=0.03)
    # of 9 slots, L - T = 3 are skipped; frame t has as many skips as there are in its first t + 1 slots
    skips = positions(CropSample(num_frames=8), 11, 5000) - torch.arange(8)
    torch.testing.assert_close(skips.mean(dim=0), 3 * torch.arange(1, 9, dtype=torch.float64) / 9, rtol=0, atol=0.05)
    assert skips.max() == 3


@given(frames=SOME_FRAMES, seed=st.integers(0, 10**6))
def test_crop_sample_takes_frames_of_its_piece_and_nothing_behind(frames, seed):
    n = torch.tensor(frames)
    x = clips(len(frames), 40, dtype=torch.float64)
    x[..., 1] = x[..., 0] + 1
    x.transpose(1, 2)[torch.arange(40) >= n[:, None]] = torch.nan
    op = CropSample((0.2, 0.6), 8, min_frames=3)
    out, params = crop(op, x, seed, frames=n)
    start, length = op.piece(params, n)
    where = start[:, None] + op.positions(params, length)
    assert out.isfinite().all()
    for clip, whole, at, L in zip(out, x, where, length.tolist(), strict=True):
        if L >= 8:
            assert torch.equal(clip, whole[:, at.long()])


def test_crop_sample_keeps_at_least_as_many_frames_as_released():
    assert [CropSample(num_frames=T).min_frames for T in (64, 32, 16, 12, 8, 4)] == [16, 16, 16, 12, 8, 8]
    with pytest.raises(ConfigError, match=r'CropSample: min_frames=None.*num_frames'):
        CropSample()
