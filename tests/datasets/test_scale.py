"""Bodies to one size."""

import numpy as np
import pytest

from skeattn.datasets.transforms import ScaleBody
from skeattn.skeletons import get_layout
from tests.datasets.raw import clip


def scaled(keypoint, layout='kinect20', **known):
    return ScaleBody()({'keypoint': keypoint, 'layout': get_layout(layout), 'name': 'c', **known})['keypoint']


def trunk(keypoint, layout='kinect20'):
    layout = get_layout(layout)
    lower, upper = (layout.locate(keypoint, end) for end in layout.spine)
    return np.linalg.norm(upper - lower, axis=-1)


def test_the_trunk_of_person_0_is_the_unit_for_all():
    given = clip(persons=2, frames=5)
    out = scaled(given)
    np.testing.assert_allclose(np.median(trunk(out[0])), 1, rtol=1e-6)
    np.testing.assert_allclose(out, given / np.median(trunk(given[0])), rtol=1e-6)
    assert out.dtype == np.float32


def test_the_camera_s_distance_makes_no_difference():
    np.testing.assert_allclose(scaled(clip() * 200), scaled(clip()), rtol=1e-6)


@pytest.mark.parametrize(('channels', 'kept'), [(('x', 'y', 'score'), 2), (('x', 'y', 'z'), 3)])
def test_scores_stay_as_they_are(channels, kept):
    given = clip(joints=17)
    out = scaled(given, 'coco17', channels=channels)
    np.testing.assert_allclose(
        out[..., :kept], given[..., :kept] / np.median(trunk(given[0, ..., :kept], 'coco17')), rtol=1e-6
    )
    np.testing.assert_array_equal(out[..., kept:], given[..., kept:])


def test_frames_without_the_person_count_for_nothing():
    given = clip(persons=2, frames=6)
    gaps = np.concatenate([np.zeros_like(given), given], axis=1)
    np.testing.assert_array_equal(scaled(gaps)[:, 6:], scaled(given))
    assert not scaled(gaps)[:, :6].any()


@pytest.mark.parametrize('given', [np.zeros((1, 3, 20, 3), np.float32), np.ones((1, 3, 20, 3), np.float32)])
def test_a_body_without_size_stays_as_it_is(given):
    np.testing.assert_array_equal(scaled(given), given)
