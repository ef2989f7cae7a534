"""Which listed bodies become persons: joined by exact id, noise left out, the most moving first."""

import numpy as np
import pytest

from skeattn.datasets import PackedSet
from skeattn.datasets.converters.bodies import Bodies, file_order, is_noise, motion
from skeattn.datasets.converters.ntu import convert
from skeattn.datasets.converters.ntu_text import read_bodies
from skeattn.datasets.synthetic import write_skeleton_file
from skeattn.errors import ConfigError
from skeattn.skeletons import get_layout

V = get_layout('ntu25').num_joints
T = 20
FIRST = 72057594037931101


def standing(seed=0, frames=T, width=0.4, sway=0.0):
    """A person 1.7 m tall who sways by so many metres, ``(T, 25, 3)``."""
    rng = np.random.default_rng(seed)
    pose = rng.random((V, 3)) * [width, 1.7, 0.3] + [0, -0.8, 3]
    pose[0], pose[1] = [0, -0.8, 3], [width, 0.9, 3]  # the whole spread is reached
    return pose + sway * np.sin(np.arange(frames))[:, None, None]


def listed(*tracks):
    """Bodies from (id, first frame, joints), listed in the order given."""
    rows = [(start + t, body, joints[t]) for body, start, joints in tracks for t in range(len(joints))]
    order = sorted(range(len(rows)), key=lambda row: rows[row][0])
    frame = np.array([rows[row][0] for row in order])
    place = np.array([(frame[:i] == at).sum() for i, at in enumerate(frame)])
    return Bodies(T, frame, place, [str(rows[row][1]) for row in order], np.array([rows[row][2] for row in order]))


def test_bodies_are_joined_by_id_though_they_change_places():
    a, b = standing(0, sway=0.2), standing(1, sway=0.1)
    swapped = listed((FIRST, 0, a[:10]), (FIRST + 1, 0, b), (FIRST, 10, a[10:]))
    np.testing.assert_array_equal(motion(swapped), np.stack([a, b]).astype(np.float32))
    as_listed = file_order(swapped)
    np.testing.assert_array_equal(as_listed[0, 10:], b[10:].astype(np.float32))


def test_ids_that_a_float_takes_for_one_stay_two():
    a, b = standing(0, sway=0.2), standing(1, sway=0.1)
    assert float(FIRST) == float(FIRST + 1)
    assert motion(listed((FIRST, 0, a), (FIRST + 1, 0, b))).shape == (2, T, V, 3)


def test_an_id_listed_twice_in_a_frame_makes_two_bodies():
    a, b = standing(0, sway=0.2), standing(1, sway=0.1)
    np.testing.assert_array_equal(motion(listed((7, 0, a), (7, 0, b))), np.stack([a, b]).astype(np.float32))


def test_the_two_that_move_most_are_kept_in_that_order():
    tracks = [standing(seed, sway=sway) for seed, sway in enumerate((0.01, 0.3, 0.0, 0.1))]
    kept = motion(listed(*((number, 0, track) for number, track in enumerate(tracks))))
    np.testing.assert_array_equal(kept, np.stack([tracks[1], tracks[3]]).astype(np.float32))


def test_motion_is_the_variance_over_time_not_the_size_of_the_body():
    tall_and_still, small = 3 * standing(0), 0.5 * standing(1, sway=0.1)
    kept = motion(listed((1, 0, tall_and_still), (2, 0, small)))
    np.testing.assert_array_equal(kept[0], small.astype(np.float32))


@pytest.mark.parametrize(('frames', 'noise'), [(11, True), (12, False)])
def test_tracks_of_eleven_frames_are_noise(frames, noise):
    assert is_noise(standing(frames=frames)) == noise
    kept = motion(listed((1, 0, standing(0, sway=0.01)), (2, 0, standing(1, frames, sway=5))))
    assert len(kept) == (1 if noise else 2)


@pytest.mark.parametrize(('wide_frames', 'noise'), [(0, False), (14, False), (15, True), (20, True)])
def test_bodies_wider_than_tall_in_most_frames_are_noise(wide_frames, noise):
    """0.7 of 20 frames is 14: more than that is noise."""
    track = standing()
    track[:wide_frames] = standing(width=0.81 * 1.7)[:wide_frames]
    assert is_noise(track) == noise
    assert not is_noise(standing(width=0.79 * 1.7))


def test_where_all_is_noise_nothing_is_filtered():
    lying = standing(width=3, sway=0.1)
    np.testing.assert_array_equal(motion(listed((1, 0, lying)))[0], lying.astype(np.float32))


def test_absent_frames_stay_and_are_zero():
    kept = motion(listed((1, 4, standing(frames=12, sway=0.1))))
    assert kept.shape == (1, T, V, 3)
    assert np.flatnonzero(kept.any(axis=(0, 2, 3))).tolist() == list(range(4, 16))


def test_a_converted_set_says_the_choice_and_counts_crowds(tmp_path):
    """Three bodies are normal: the set says in how many clips; the still one is left out by motion."""
    raw = tmp_path / 'raw'
    raw.mkdir()
    people = np.stack([standing(0), standing(1, sway=0.2), standing(2, sway=0.1)])
    write_skeleton_file(raw / 'S001C001P001R001A001.skeleton', people)
    write_skeleton_file(raw / 'S001C002P002R001A001.skeleton', people[:1])
    expected = {'file_order': people[:2], 'motion': people[1:]}
    for bodies, kept in expected.items():
        convert(raw, tmp_path / bodies, bodies=bodies)
        packed = PackedSet.open(tmp_path / bodies)
        np.testing.assert_allclose(packed.clip(0), kept, atol=1e-6)
        assert packed.manifest['notes'] == {
            'bodies': bodies,
            'clips with over two bodies in a frame': 1,
            'clips with over two tracking ids': 1,
            'persons left out': 1,
            'clips with persons left out': 1,
        }
    with pytest.raises(ConfigError, match="bodies='best' is not known; known: file_order, motion, track"):
        convert(raw, tmp_path / 'x', bodies='best')


def test_raw_to_packed_to_raw_keeps_every_bit(tmp_path):
    """What the writer writes, the reader and the writer give again, byte for byte."""
    people = np.stack([standing(0, sway=0.2), standing(1, sway=0.1)]).astype(np.float32)
    people[1, 5:] = 0
    write_skeleton_file(tmp_path / 'a.skeleton', people)
    text = (tmp_path / 'a.skeleton').read_bytes()
    again = file_order(read_bodies('a', text))
    write_skeleton_file(tmp_path / 'b.skeleton', again)
    coordinates = [line.split()[:3] for line in text.splitlines() if line.count(b' ') == 11]
    assert coordinates == [
        line.split()[:3] for line in (tmp_path / 'b.skeleton').read_bytes().splitlines() if line.count(b' ') == 11
    ]
    assert file_order(read_bodies('b', (tmp_path / 'b.skeleton').read_bytes())).tobytes() == again.tobytes()
