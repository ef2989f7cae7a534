import base64

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.report.motion import ABSENT, FEWEST, affordable, drawable, levelled, quantise, quantise_masks, upright
from skeattn.skeletons import get_layout
from tests.report.runs import standing

LAYOUT = get_layout('ntu25')


def decoded(motion, V: int, D: int) -> np.ndarray:
    """Coordinates around the middle of the clip, NaN where nothing is."""
    steps = np.frombuffer(base64.b64decode(motion.coordinates), '<i2').reshape(motion.persons, motion.frames, V, D)
    return np.where(steps == ABSENT, np.nan, steps * motion.scale)


def clip(seed: int, size: float = 1.0, D: int = 3) -> np.ndarray:
    """Two persons, the second absent in the first frames, and a joint missing."""
    values = np.random.default_rng(seed).normal(3.0, size, (2, 9, 25, D)).astype(np.float32)
    values[1, :4] = np.nan
    values[0, 2, 7] = np.nan
    return values


@given(st.integers(0, 99), st.sampled_from([1e-4, 0.3, 400.0]), st.sampled_from([2, 3]))
def test_coordinates_are_exact_to_half_a_step(seed: int, size: float, D: int) -> None:
    whole = clip(seed, size, D)
    motion = quantise(whole, 99)
    stored = decoded(motion, 25, D)
    np.testing.assert_array_equal(np.isnan(stored), np.isnan(whole))
    points = whole[np.isfinite(whole).all(axis=-1)]
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    error = np.abs(stored - (whole - centre))
    extent = np.abs(points - centre).max()
    assert motion.scale == pytest.approx(extent / 32767, rel=1e-5)
    assert np.nanmax(error) <= motion.scale / 2 + 1e-5 * size + 2e-7 * np.abs(points).max()


def test_frames_are_chosen_evenly_and_absent_persons_left_out() -> None:
    whole = np.concatenate([clip(0), np.full((1, 9, 25, 3), np.nan, np.float32)])
    motion = quantise(whole, 5)
    assert (motion.persons, motion.frames) == (2, 5)
    full = decoded(quantise(whole, 9), 25, 3)[:, [0, 2, 4, 6, 8]]
    np.testing.assert_allclose(np.diff(decoded(motion, 25, 3), axis=1), np.diff(full, axis=1), atol=2e-3)


def test_a_clip_that_does_not_extend_has_a_step() -> None:
    motion = quantise(np.zeros((1, 3, 25, 3), np.float32) + 1, 9)
    assert motion.scale > 0 and motion.reach > 0
    np.testing.assert_array_equal(decoded(motion, 25, 3), 0)


def test_what_is_not_there_is_nan() -> None:
    clips = np.ones((1, 4, 3, 25, 2), np.float32)
    clips[:, 3] = 0  # the mark of missing joints
    clips[0, 3, 1, 7, 0] = 1
    clips[0, :3, 0, :, 1] = 0
    points = drawable(clips, 3, True)
    assert points.shape == (1, 2, 3, 25, 3)
    assert np.isnan(points[0, 0, 1, 7]).all() and np.isnan(points[0, 1, 0]).all()
    assert np.isnan(points).sum() == 3 + 75


def test_masks_keep_their_value_within_half_a_step() -> None:
    masks = torch.rand(3, 2, 8, 25, generator=torch.Generator().manual_seed(0))
    persons = np.array([[True, False], [True, True], [False, True]])
    texts = quantise_masks(masks, persons, 0.2, 0.9)
    for text, mask, there in zip(texts, masks.numpy(), persons, strict=True):
        values = np.frombuffer(base64.b64decode(text), np.uint8).reshape(there.sum(), 8, 25)
        np.testing.assert_allclose(0.2 + values / 255 * 0.7, mask[there].clip(0.2, 0.9), atol=0.7 / 510 + 1e-6)


def test_long_masks_are_averaged() -> None:
    masks = torch.arange(16.0)[None, None, :, None].expand(1, 1, 16, 25)
    (text,) = quantise_masks(masks, np.ones((1, 1), bool), 0.0, 255.0)
    rows = np.frombuffer(base64.b64decode(text), np.uint8).reshape(8, 25)
    np.testing.assert_array_equal(rows[:, 0], np.rint(np.arange(8) * 2 + 0.5))


@pytest.mark.parametrize(
    ('budget', 'expected'),
    [(10**9, (40, 64)), (40 * 100 * 20, (40, 20)), (100 * FEWEST * 10, (10, FEWEST)), (5, (0, 0))],
)
def test_clips_are_thinned_before_they_are_left_out(budget: int, expected: tuple[int, int]) -> None:
    clips, frames = affordable([100] * 40, budget, 64)
    assert (clips, frames) == expected and clips * frames * 100 <= budget


def turned(degrees: float, axis: int = 0) -> np.ndarray:
    """A standing person recorded by a tilted camera."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.eye(3)
    planes = {0: [1, 2], 2: [0, 1]}
    turn[np.ix_(planes[axis], planes[axis])] = [[cos, -sin], [sin, cos]]
    return np.tile(standing() @ turn.T, (1, 4, 1, 1)).astype(np.float32)


@pytest.mark.parametrize(('degrees', 'axis'), [(30, 0), (-30, 0), (20, 2), (170, 0)])
def test_the_spine_of_a_tilted_recording_is_upright(degrees: float, axis: int) -> None:
    leaning = turned(degrees, axis)
    straight = levelled(leaning, LAYOUT)
    spine = straight[0, 0, LAYOUT.spine[1]] - straight[0, 0, LAYOUT.spine[0]]
    np.testing.assert_allclose(spine / np.linalg.norm(spine), [0, -1 if degrees == 170 else 1, 0], atol=1e-5)
    lengths = [
        np.linalg.norm(np.diff(one[0, 0][np.array(LAYOUT.bones)], axis=1), axis=-1) for one in (leaning, straight)
    ]
    np.testing.assert_allclose(*lengths, atol=1e-5)
    assert upright(straight[None], LAYOUT) == (-1 if degrees == 170 else 1)


@pytest.mark.parametrize('one', [turned(80), turned(30)[..., :2], np.full((1, 4, 25, 3), np.nan, np.float32)])
def test_a_lying_person_and_a_flat_clip_are_not_turned(one: np.ndarray) -> None:
    np.testing.assert_array_equal(levelled(one, LAYOUT), one)
