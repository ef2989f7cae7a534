"""Choosing persons: no format drops anybody without counting, and identities are followed over the frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.channels import AXES
from skeattn.datasets import PackedSet
from skeattn.datasets.converters import ctrgcn, ntu, plain, pyskl
from skeattn.datasets.converters.estimators import assemble, number_of
from skeattn.datasets.converters.persons import UNKNOWN, Choice, follow
from skeattn.errors import ConfigError
from tests.datasets.converters.people import people
from tests.datasets.converters.pickles import annotation, saved
from tests.datasets.raw import clip, skeleton_text

T, V = 12, 20


def test_the_rules_rank_persons_and_count_those_left_out():
    clips = people(1, 3, 5, sway=(0.02, 0.2, 0.1))
    kept, left_out = Choice('motion', 2).apply(clips, AXES)
    np.testing.assert_array_equal(kept, clips[[1, 2]])
    assert left_out == 1
    kept, left_out = Choice('order', 1).apply(clips, AXES)
    np.testing.assert_array_equal(kept, clips[:1])
    assert left_out == 2
    flat = np.concatenate([clips[..., :2], np.full((3, T, V, 1), 0.5, np.float32)], axis=-1)
    flat[1, ..., 2], flat[2, :, :2, 2] = 0.9, 0.1
    kept, _ = Choice('score').apply(flat, ('x', 'y', 'score'))
    np.testing.assert_array_equal(kept, flat[[1, 0, 2]])
    with pytest.raises(
        ConfigError, match='needs a channel score, but these clips have x, y, z; choose order, motion or'
    ):
        Choice('score').apply(clips, AXES)


def test_an_empty_slot_is_no_person():
    """Somebody is there against person 0 is there: one rule, the persons who are there come first."""
    clips = people(1, 3)
    clips[0] = 0
    kept, left_out = Choice().apply(clips, AXES)
    np.testing.assert_array_equal(kept, clips[1:])
    assert left_out == 0


@given(seed=st.integers(0, 2**32 - 1), numbered=st.booleans(), motion=st.booleans())
def test_identities_survive_any_order_in_which_frames_list_them(seed, numbered, motion):
    rng = np.random.default_rng(seed)
    clips = people(1, 3, 5, sway=(0.02, 0.2, 0.1))
    clips[2, :4] = 0  # comes later
    clips[0, 5] = 0  # not found in one frame
    clips[1, 6, 3] = np.nan  # a joint missing
    listed, ids = np.zeros_like(clips), np.full((3, T), UNKNOWN)
    for frame in range(T):
        there = [m for m in rng.permutation(3) if np.nan_to_num(clips[m, frame]).any()]
        listed[: len(there), frame] = clips[there, frame]
        if numbered:
            ids[: len(there), frame] = there
    if motion:
        kept, left_out = Choice('motion', 2).apply(listed, AXES, ids)
        np.testing.assert_array_equal(kept, clips[[1, 2]])
        assert left_out == 1
    else:
        kept, _ = Choice('track').apply(listed, AXES, ids if numbered else None)
        np.testing.assert_array_equal(kept, clips[[1, 0, 2]])  # 12, 11 and 8 frames


def test_who_appears_far_from_everybody_is_somebody_else():
    clips = people(1, 3)
    clips[0, 6:] = clips[1, 6:]
    clips[1] = 0
    tracks = follow(clips, 3, np.full((2, T), UNKNOWN))
    assert tracks.shape[0] == 2
    np.testing.assert_array_equal(tracks.any(axis=(2, 3)), [[True] * 6 + [False] * 6, [False] * 6 + [True] * 6])


def test_a_number_listed_twice_in_a_frame_makes_two_persons():
    clips = people(1, 3)
    tracks = follow(clips, 3, np.full((2, T), 7))
    np.testing.assert_array_equal(tracks, clips)


def from_plain(folder, **options):
    (folder / 'mine').mkdir()
    np.save(folder / 'mine' / 'a.npy', people(1, 3, 5, 7, sway=(0, 0, 0.2, 0.1)))
    (folder / 'mine' / 'labels.csv').write_text('name,label\na,0\n')
    plain.convert(folder / 'mine', folder / 'out', 'kinect20', **options)


def from_pyskl(folder, **options):
    keypoint = people(1, 3, 5, 7, sway=(0, 0, 0.2, 0.1))
    keys = {'keypoint_score': None, 'img_shape': None, 'original_shape': None, 'total_frames': T}
    value = [annotation(0, keypoint=keypoint, **keys)]
    pyskl.convert(saved(folder, value), folder / 'out', 'kinect20', **options)


def from_ctrgcn(folder, **options):
    keypoint = people(1, 3, 5, 7, sway=(0, 0, 0.2, 0.1))
    rows = keypoint.swapaxes(0, 1).reshape(1, T, -1)
    arrays = {'x_train': rows, 'y_train': np.eye(1), 'x_test': rows, 'y_test': np.eye(1)}
    np.savez(folder / 'a.npz', **arrays)
    ctrgcn.convert(folder / 'a.npz', folder / 'out', 'kinect20', **options)


def from_ntu(folder, **options):
    (folder / 'raw').mkdir()
    keypoint = np.concatenate([people(1, 3, 5, 7, sway=(0, 0, 0.2, 0.1))] * 2, axis=2)[:, :, :25]
    (folder / 'raw' / 'S001C001P001R001A001.skeleton').write_bytes(skeleton_text(keypoint))
    ntu.convert(folder / 'raw', folder / 'out', jobs=1, **options)


@pytest.mark.parametrize('convert', [from_plain, from_pyskl, from_ctrgcn, from_ntu])
@pytest.mark.parametrize(('rule', 'first'), [('motion', [5, 7]), ('track', [1, 3]), ('order', [1, 3])])
def test_every_format_chooses_and_its_summary_counts_who_is_left_out(tmp_path, convert, rule, first):
    """Silent truncation: four persons in a clip, fewer are kept, nobody says so."""
    convert(tmp_path, persons=rule, max_persons=2)
    packed = PackedSet.open(tmp_path / 'out')
    places = packed.clip(0)[:, :, :20, 0].mean(axis=(1, 2))
    np.testing.assert_allclose(places, first, atol=0.2)
    clips = len(packed)
    assert packed.manifest['notes']['persons left out'] == 2 * clips
    assert packed.manifest['notes']['clips with persons left out'] == clips


def test_nobody_is_left_out_by_default(tmp_path):
    from_plain(tmp_path)
    packed = PackedSet.open(tmp_path / 'out')
    assert packed.clip(0).shape[0] == 4 and 'persons left out' not in packed.manifest.get('notes', {})


@pytest.mark.parametrize('options', [{'persons': 'best'}, {'max_persons': 0}])
def test_a_wrong_choice_names_the_option(tmp_path, options):
    with pytest.raises(ConfigError, match=r'\(--persons\) is not one of order, motion|\(--max-persons\) must be 1'):
        from_plain(tmp_path, **options)


def test_missing_frames_cells_and_joints_do_not_cost_the_clip(tmp_path):
    """A missing value is not a broken clip: NaN frames, (0, 0) with score 0 and -1 are missing joints."""
    folder = tmp_path / 'mine'
    folder.mkdir()
    keypoint = clip(0, 1, 6, 17)[0]
    keypoint[1] = np.nan
    keypoint[2, 5] = 0
    keypoint[3, 6] = [-1, -1, 0]
    np.save(folder / 'a.npy', keypoint)
    (folder / 'labels.csv').write_text('name,label\na,0\n')
    plain.convert(folder, tmp_path / 'out', 'coco17', channels='x,y,score')
    stored = PackedSet.open(tmp_path / 'out').clip(0)
    assert not stored[0, 1].any()  # no person was found
    for frame, joint in ((2, 5), (3, 6)):
        assert np.isnan(stored[0, frame, joint, :2]).all() and stored[0, frame, joint, 2] == 0
    expected = keypoint[[0, 4, 5]]
    np.testing.assert_array_equal(stored[0, [0, 4, 5]], expected)


@pytest.mark.parametrize(
    ('value', 'number'),
    [
        (3, 3), ([[4.0]], 4), ('5', 5), (2**62, 2**62),
        (-1, UNKNOWN), (None, UNKNOWN), ([], UNKNOWN), ('x', UNKNOWN), (float('nan'), UNKNOWN), (1e300, UNKNOWN),
        (10**25, UNKNOWN), ([10**25], UNKNOWN),
    ],
)  # fmt: skip
def test_the_number_of_a_person_fits_an_array_or_is_unknown(value, number) -> None:
    assert number_of(value) == number
    pose = np.ones((17, 3))
    assert assemble('clip', [[(pose, number_of(value))]])[1].tolist() == [[number]]
