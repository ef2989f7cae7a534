"""Undetected joints are missing, whatever the format writes for them; persons and origins are not."""

import numpy as np
import pytest

from skeattn.datasets.missing import mark_missing, missing_joints, present, settle
from skeattn.skeletons import get_layout

COCO, KINECT = get_layout('coco17'), get_layout('kinect20')
SCORED = ('x', 'y', 'score')
HIPS = slice(11, 13)


def detections(persons=1, frames=6, seed=0):
    """A body in pixels with scores, ``(M, T, 17, 3)``."""
    rng = np.random.default_rng(seed)
    keypoint = rng.uniform(300, 700, (persons, frames, 17, 3)).astype(np.float32)
    keypoint[..., 2] = rng.uniform(0.3, 1, keypoint.shape[:3])
    return keypoint


SENTINELS = {
    'OpenPose and pyskl: (0, 0) and score 0': [0, 0, 0],
    'score 0, the place is a guess': [512, 300, 0],
    'a negative score': [512, 300, -1],
    '(0, 0) with a score': [0, 0, 0.4],
    '-1 everywhere': [-1, -1, -1],
    '-1 with a score': [-1, -1, 0.7],
    'NaN everywhere': [np.nan, np.nan, np.nan],
    'NaN in one coordinate': [512, np.nan, 0.7],
    'NaN as score': [512, 300, np.nan],
}


@pytest.mark.parametrize('sentinel', SENTINELS.values(), ids=SENTINELS)
def test_sentinels_inside_the_coordinates_become_missing_joints(sentinel):
    """Kind F1 (a sentinel inside the coordinates), F15 (a missing value is not a broken clip)."""
    keypoint = detections(2)
    keypoint[1, 3, 10] = sentinel
    marked = mark_missing(keypoint, SCORED, COCO)
    assert np.argwhere(missing_joints(marked, 2)).tolist() == [[1, 3, 10]]
    assert np.isnan(marked[1, 3, 10, :2]).all() and marked[1, 3, 10, 2] == 0
    rest = np.delete(marked.reshape(-1, 3), 17 * 9 + 10, axis=0)
    np.testing.assert_array_equal(rest, np.delete(keypoint.reshape(-1, 3), 17 * 9 + 10, axis=0))
    np.testing.assert_array_equal(mark_missing(marked, SCORED, COCO), marked)


@pytest.mark.parametrize('value', [np.nan, -1, 0])
def test_a_person_without_any_joint_is_absent_in_that_frame(value):
    """Kind F15: a frame without a detection."""
    keypoint = detections()
    keypoint[0, 3] = value
    marked = mark_missing(keypoint, SCORED, COCO)
    assert (marked[0, 3] == 0).all() and np.isfinite(marked).all()
    assert present(marked).tolist() == [[True, True, True, False, True, True]]


def test_absent_persons_and_sound_clips_are_untouched():
    keypoint = detections(2)
    keypoint[1] = 0
    keypoint[0, 2] = 0
    keypoint[0, 1, 4, 0] = 0  # at the image's left edge
    assert mark_missing(keypoint, SCORED, COCO) is keypoint
    assert mark_missing(np.zeros((2, 3, 17, 3)), SCORED, COCO).any() == 0
    assert mark_missing(keypoint[..., :2], None, COCO).shape == (2, 6, 17, 2)


def test_scores_that_are_all_zero_tell_nothing():
    keypoint = detections()
    keypoint[..., 2] = 0
    assert mark_missing(keypoint, SCORED, COCO) is keypoint
    keypoint[0, 3, 5, :2] = 0
    assert missing_joints(mark_missing(keypoint, SCORED, COCO), 2).sum() == 1


def test_the_origin_of_centred_2d_coordinates_is_a_place():
    """Without a score: one trunk joint that is always at the origin of the body is no loss; a wrist there is."""
    layout = get_layout('openpose18')
    keypoint = np.random.default_rng(0).normal(size=(1, 5, 18, 2)).astype(np.float32)
    centred = keypoint - keypoint[:, :, [layout.root]]
    assert mark_missing(centred, ('x', 'y'), layout) is centred
    keypoint[:, :, 4] = 0
    assert missing_joints(mark_missing(keypoint, ('x', 'y'), layout), 2).sum(axis=(0, 1)).tolist() == [
        5 * (joint == 4) for joint in range(18)
    ]


def test_the_origin_in_3d_is_a_place_on_the_body_and_none_far_from_it():
    """The camera is no joint; the origin of centred coordinates is."""
    keypoint = np.random.default_rng(0).normal(size=(1, 5, 20, 3)).astype(np.float32)
    keypoint[0, 2, 7] = 0
    assert mark_missing(keypoint, ('x', 'y', 'z'), KINECT) is keypoint
    keypoint[..., 2] += 12
    keypoint[0, 2, 7] = 0
    assert np.argwhere(missing_joints(mark_missing(keypoint, None, KINECT), 3)).tolist() == [[0, 2, 7]]
    keypoint[0, 2, 7] = [0, 0, 12]  # a single zero coordinate
    assert np.isfinite(mark_missing(keypoint, None, KINECT)[0, 2, 8:]).all()


def test_whole_numbers_and_other_shapes_pass():
    pixels = np.full((1, 2, 17, 2), 7)
    pixels[0, 0, 3] = 0
    assert missing_joints(mark_missing(pixels, None, COCO), 2).sum() == 1
    for odd in (np.zeros((3, 4)), np.zeros((1, 2, 16, 2)), np.zeros((0, 4, 17, 2))):
        assert mark_missing(odd, None, COCO).shape == odd.shape


def test_settling_makes_joints_missing_as_a_whole():
    keypoint = detections()
    keypoint[0, 0, 0, 1] = np.nan
    settled = settle(keypoint, 2)
    assert np.isnan(settled[0, 0, 0, :2]).all() and settled[0, 0, 0, 2] == 0
    assert settle(settled[:, 1:], 2).base is settled
