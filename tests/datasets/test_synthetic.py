"""The embedded set: reproducible, balanced, physically sound, and without a cue other than the motion."""

import dataclasses
import hashlib
from itertools import islice

import numpy as np
import pytest
from scipy.stats import chi2_contingency, f_oneway

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import ntu
from skeattn.datasets.synthetic import CLASSES, SPLITS, clips, convert, generate, write_skeleton_file
from skeattn.datasets.synthetic.body import LAYOUT, SEGMENT_INDEX, SEGMENTS, Body
from skeattn.datasets.synthetic.conditions import Conditions
from skeattn.datasets.synthetic.motions import MOTIONS, angles
from skeattn.datasets.synthetic.sensor import seen_from
from skeattn.errors import ConfigError, DataError

ROUND = len(CLASSES) * 36  # clips after which every class has met every subject before every camera once


@pytest.fixture(scope='module')
def made():
    return list(generate(seed=0, clips=2 * ROUND))


def digest(made_clips):
    state = hashlib.sha256()
    for clip in made_clips:
        state.update(clip.name.encode() + clip.keypoint.tobytes() + clip.bodies.tobytes())
    return state.hexdigest()


@pytest.mark.slow
def test_same_seed_same_bits_and_a_smaller_set_is_the_beginning_of_a_larger_one(made):
    assert digest(generate(0, 40)) == digest(islice(generate(0, 400), 40)) == digest(made[:40])
    assert digest(generate(1, 5)) != digest(made[:5])


@pytest.mark.slow
def test_the_set_is_as_large_and_varied_as_promised(made):
    assert len(CLASSES) >= 14
    assert sum(motion.partner is not None for motion in MOTIONS) >= 2
    assert len({clip.subject for clip in made}) >= 10
    assert {clip.camera for clip in made} == {1, 2, 3}
    lengths = [clip.keypoint.shape[1] for clip in made]
    assert (min(lengths), max(lengths)) == (40, 120)


@pytest.mark.slow
def test_names_are_unique_and_say_what_the_columns_say(made):
    assert len({clip.name for clip in made}) == len(made)
    for clip in made:
        parts = (clip.setup, clip.camera, clip.subject, clip.replication, clip.label + 1)
        assert clip.name == 'S{:03}C{:03}P{:03}R{:03}A{:03}'.format(*parts)


@pytest.mark.slow
def test_every_class_meets_every_subject_before_every_camera_in_both_replications(made):
    met = {(clip.label, clip.subject, clip.camera, clip.replication) for clip in made}
    assert len(met) == len(made) == len(CLASSES) * 12 * 3 * 2


@pytest.mark.slow
def test_the_splits_test_people_and_cameras_unseen_in_training(made):
    for name, column in (('xsub', 'subject'), ('xview', 'camera')):
        assert SPLITS[name]['field'] == column
        values = {getattr(clip, column) for clip in made}
        assert 0 < len(values & set(SPLITS[name]['train'])) < len(values)


@pytest.mark.slow
def test_persons_follow_from_the_class_and_coordinates_lie_before_the_camera(made):
    for clip in made:
        assert len(clip.keypoint) == (1 if MOTIONS[clip.label].partner is None else 2)
        seen = clip.keypoint[clip.bodies >= 0]
        assert clip.keypoint.dtype == np.float32
        assert seen[..., 2].min() > 0.5
        assert np.abs(seen).max() < 6
        assert not clip.keypoint[clip.bodies < 0].any()


def test_nothing_but_the_motion_depends_on_the_class(monkeypatch):
    """The same clip numbers with the classes dealt out differently: same length, timing, view, build and posture."""
    drawn = []
    draw = Conditions.draw
    monkeypatch.setattr(Conditions, 'draw', lambda *args: drawn.append(draw(*args)) or drawn[-1])
    still = [dataclasses.replace(m, keys=((0.0, {}), (1.0, {})), partner=None) for m in MOTIONS]
    monkeypatch.setattr(clips, 'MOTIONS', still)
    first = list(generate(0, 6))
    monkeypatch.setattr(clips, 'MOTIONS', still[::-1])
    assert digest(generate(0, 6)) == digest(first)
    for a, b in zip(drawn[:6], drawn[6:], strict=True):
        assert all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))


@pytest.mark.slow
def test_length_setup_and_faults_tell_nothing_about_the_class(made):
    """Chi-square and one-way ANOVA between the class and what a clip shows without its motion."""
    label = np.array([clip.label for clip in made])
    setups = np.array([clip.setup for clip in made])
    counts = [[((label == a) & (setups == s)).sum() for s in np.unique(setups)] for a in range(len(CLASSES))]
    assert chi2_contingency(counts).pvalue > 1e-3
    for cue in (
        lambda clip: clip.keypoint.shape[1],
        lambda clip: np.log(clip.keypoint[0, clip.bodies[0] >= 0][0, 0, 2]) if len(clip.keypoint) == 1 else None,
        lambda clip: (clip.bodies[0] < 0).mean() if len(clip.keypoint) == 1 else None,
    ):
        groups = [
            [v for v in map(cue, (c for c in made if c.label == a)) if v is not None] for a in range(len(CLASSES))
        ]
        assert f_oneway(*(group for group in groups if group)).pvalue > 1e-3


def test_bones_keep_their_length_while_the_body_moves():
    rng = np.random.default_rng(3)
    body = Body.draw(rng)
    joints = body.joints(rng.normal(0, 0.5, (50, len(SEGMENTS), 3)))
    for child, parent in (('left_elbow', 'left_shoulder'), ('right_ankle', 'right_knee'), ('spine_mid', 'spine_base')):
        length = np.linalg.norm(joints[:, LAYOUT.joint(child)] - joints[:, LAYOUT.joint(parent)], axis=1)
        np.testing.assert_allclose(length, length[0], rtol=1e-9)
    np.testing.assert_allclose(joints[..., 1].min(axis=1), 0, atol=1e-12)


def test_angles_mean_what_they_say():
    """A body facing -z, x to its right: raised forward, raised sideways, bent elbow, bow."""
    body = Body.draw(np.random.default_rng(0))

    def posed(segment, turn):
        pose = np.zeros((1, len(SEGMENTS), 3))
        pose[0, SEGMENT_INDEX[segment]] = np.deg2rad(turn)
        return dict(zip(LAYOUT.joints, body.joints(pose)[0], strict=True))

    def direction(joints, start, stop):
        line = joints[stop] - joints[start]
        return (line / np.linalg.norm(line)).round(9).tolist()

    for side, out in (('right', 1), ('left', -1)):
        assert direction(posed(f'{side}_arm', (90, 0, 0)), f'{side}_shoulder', f'{side}_elbow') == [0, 0, -1]
        assert direction(posed(f'{side}_arm', (0, 90, 0)), f'{side}_shoulder', f'{side}_elbow') == [out, 0, 0]
        assert direction(posed(f'{side}_forearm', (90, 0, 0)), f'{side}_elbow', f'{side}_wrist') == [0, 0, -1]
        assert direction(posed(f'{side}_shank', (-90, 0, 0)), f'{side}_knee', f'{side}_ankle') == [0, 0, 1]
    assert direction(posed('spine', (90, 0, 0)), 'spine_base', 'spine_mid') == [0, 0, -1]


def test_key_poses_are_met_and_returning_motions_return():
    squat = next(motion for motion in MOTIONS if motion.name == 'squat')
    at = angles(squat.keys, np.array([0, 0.45, 1]))
    knee = SEGMENT_INDEX['left_shank']
    np.testing.assert_allclose(np.rad2deg(at[:, knee, 0]), [0, squat.keys[1][1]['left_shank'][0], 0], atol=1e-9)
    assert [motion.name for motion in MOTIONS if not motion.returns] == ['sit down', 'stand up']


def test_a_camera_that_looks_down_or_from_the_side_sees_so():
    ahead = np.array([[0, 0.9, -1.0]])  # one metre before the subject, at the height the camera looks at
    place = np.array([0, 0, 3.0])
    np.testing.assert_allclose(seen_from(ahead, np.zeros(3), place), [[0, 0, 2]], atol=1e-12)
    np.testing.assert_allclose(seen_from(ahead, np.array([np.pi / 2, 0, 0]), place), [[-1, 0, 3]], atol=1e-12)
    down = seen_from(ahead, np.array([0, 0.3, 0]), place)[0]
    assert down[1] < 0  # what is nearer lies lower in a picture taken from above
    np.testing.assert_allclose(down[1], -np.sin(0.3), atol=1e-12)


@pytest.mark.slow
def test_packed_and_raw_text_hold_the_same_clips(tmp_path):
    packed = PackedSet.open(convert(tmp_path / 'demo', clips=len(CLASSES) * 3, raw=tmp_path / 'raw'))
    ntu.convert(tmp_path / 'raw', tmp_path / 'ntu')
    read = PackedSet.open(tmp_path / 'ntu')
    row = {name: i for i, name in enumerate(read.table['name'])}
    assert len(row) == len(packed)
    for i, name in enumerate(packed.table['name']):
        for column in ('label', 'subject', 'camera', 'setup', 'replication', 'frames', 'persons'):
            assert packed.table[column][i] == read.table[column][row[name]], (name, column)
        np.testing.assert_allclose(packed.clip(i), read.clip(row[name]), atol=2e-6)
    for part, again in zip(split(packed, 'xsub'), split(read, 'xsub'), strict=True):
        assert set(packed.table['name'][part]) == set(read.table['name'][again])
        assert len(part) > 0
    assert packed.manifest['dataset'] == 'demo'
    assert packed.classes == list(CLASSES)


def test_a_set_that_exists_is_kept_unless_told(tmp_path):
    convert(tmp_path / 'demo', clips=2)
    with pytest.raises(DataError, match='demo exists'):
        convert(tmp_path / 'demo', clips=3)
    assert len(PackedSet.open(convert(tmp_path / 'demo', clips=3, overwrite=True))) == 3


def test_raw_text_lists_only_present_bodies_with_their_ids(tmp_path):
    keypoint = np.random.default_rng(0).normal(loc=(0, 0, 3), size=(2, 3, 25, 3))
    keypoint[1, 0] = keypoint[:, 1] = 0
    write_skeleton_file(tmp_path / 'a.skeleton', keypoint, [72057594037927936, 72057594037927937])
    lines = (tmp_path / 'a.skeleton').read_text().splitlines()
    assert lines[:2] == ['3', '1']
    assert lines[29:31] == ['0', '2']  # after one body of 2 + 25 lines: an empty frame, then both
    assert [line.split()[0] for line in (lines[2], lines[31], lines[58])] == [
        '72057594037927936', '72057594037927936', '72057594037927937',
    ]  # fmt: skip
    joint = np.array(lines[4].split(), dtype=float)
    assert len(joint) == 12
    np.testing.assert_allclose(joint[:3], keypoint[0, 0, 0], rtol=1e-6)
    assert len(lines) == 1 + 3 + 3 * 27


@pytest.mark.parametrize('keypoint', [np.zeros((1, 2, 20, 3)), np.full((1, 2, 25, 3), np.nan)])
def test_raw_text_refuses_what_it_cannot_hold(tmp_path, keypoint):
    with pytest.raises(DataError, match='a raw clip'):
        write_skeleton_file(tmp_path / 'bad.skeleton', keypoint)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('arguments', [(-1, 3), (0, -1), (0, 10**9)])
def test_impossible_requests_are_named(arguments):
    with pytest.raises(ConfigError, match='synthetic set'):
        next(generate(*arguments))
