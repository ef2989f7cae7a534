"""What values mean is checked: sets whose shapes are right and whose content is not what it seems get a warning.

Each case is a set that converts, verifies as intact and trains, on something else than its user believes.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from skeattn.datasets import PackedSet, PackedWriter, synthetic
from skeattn.datasets.converters.persons import follow
from skeattn.datasets.inspection import meaning_findings
from skeattn.datasets.measures import fit_tree, measure, measure_clip, spanning_length
from skeattn.skeletons import LAYOUTS, get_layout
from tests.datasets.raw import BODY, body

Clips = list[np.ndarray]
XY_SCORE = {'channels': ('x', 'y', 'score')}


@pytest.fixture(scope='module')
def generated(tmp_path_factory) -> PackedSet:
    out = tmp_path_factory.mktemp('generated') / 'demo'
    synthetic.convert(out, clips=60)
    return PackedSet.open(out)


def write(folder: Path, clips: Clips, layout: str = 'kinect20', labels: Callable[[int], int] = lambda i: i % 2, **more):
    """A set of the clips, in two classes."""
    with PackedWriter(folder / 'set', 'toy', layout, ['a', 'b', 'c'][: more.pop('classes', 2)], {}, **more) as writer:
        for i, clip in enumerate(clips):
            writer.add(f'c{i}', clip, label=labels(i))
    return PackedSet.open(folder / 'set')


def warnings(packed: PackedSet) -> list[str]:
    return [str(finding) for finding in meaning_findings(packed, measure(packed))]


def bodies(count: int = 8, **options) -> Clips:
    return [body(i, frames=12, **options) for i in range(count)]


@pytest.mark.slow
def test_sets_that_are_what_they_seem_have_no_warning(tmp_path, generated):
    assert warnings(generated) == []
    assert warnings(write(tmp_path / 'a', bodies())) == []
    assert warnings(write(tmp_path / 'b', bodies(persons=2))) == []
    assert warnings(write(tmp_path / 'c', [clip[..., :2] for clip in bodies()])) == []


@pytest.mark.slow
@pytest.mark.parametrize('name', ['ucla', 'mhad'])
def test_real_sets_have_no_warning(request, name):
    assert warnings(request.getfixturevalue(name)) == []


def scored(clip: np.ndarray, unit: float, offset: float = 0.0, low: float = 0.2) -> np.ndarray:
    """x and y as in a picture, and a score."""
    score = np.random.default_rng(0).uniform(low, 1, (*clip.shape[:-1], 1))
    return np.concatenate([clip[..., :2] * unit + offset, score], axis=-1).astype(np.float32)


@pytest.mark.parametrize(
    ('unit', 'offset'), [(300.0, 500.0), (0.2, 0.3), (0.2, -0.2)], ids=['pixels', 'of the image', 'centred']
)
def test_a_score_is_no_depth(tmp_path, unit, offset):
    packed = write(tmp_path, [scored(clip, unit, offset) for clip in bodies()])
    (line,) = warnings(packed)
    assert line.startswith(f'{packed.path}: channels: z lies in 0.2..1 and is probably a score (x ')
    assert line.endswith('convert again with --channels x,y,score')
    named = write(tmp_path / 'named', [scored(clip, unit, offset) for clip in bodies()], channels=['x', 'y', 'score'])
    assert warnings(named) == []


def test_an_upward_z_is_no_score(tmp_path):
    """Heights between 0 and 1, as of bodies that are scaled to their size."""
    clips = [clip[..., [0, 2, 1]] * np.float32([0.5, 0.5, 0.5]) - np.float32([0, 1.5, 0]) for clip in bodies()]
    assert warnings(write(tmp_path, clips)) == []


def test_two_dimensions_padded_by_zeros_are_no_depth(tmp_path):
    (line,) = warnings(write(tmp_path, [clip * np.float32([1, 1, 0]) for clip in bodies()]))
    assert 'channels: z is 0 everywhere: the data are 2-D' in line


def nobody(clip: np.ndarray) -> np.ndarray:
    return np.concatenate([clip, np.zeros_like(clip)])


@pytest.mark.parametrize(
    'persons',
    [
        lambda clip: np.concatenate([clip, clip + np.float32(0.5)]),
        nobody,
        lambda clip: np.concatenate([scored(clip, 300, 500)] * 2),
        lambda clip: nobody(scored(clip, 300, 500)),
    ],
    ids=['two', 'one of two', 'pixels twice', 'pixels once'],
)
def test_channels_first_is_not_persons_first(tmp_path, persons):
    """``(C, T, V, M)``, as ST-GCN stores clips, read as three persons in two dimensions."""
    packed = write(tmp_path, [persons(clip).transpose(3, 1, 2, 0) for clip in bodies()])
    lines = warnings(packed)
    assert any(
        'shape: ' in line and 'probably (C, T, V, M)' in line and 'transpose(3, 1, 2, 0)' in line for line in lines
    )


def test_frames_first_is_not_persons_first(tmp_path):
    (line, *_) = warnings(write(tmp_path, [clip.swapaxes(0, 1) for clip in bodies(persons=2)]))
    assert line.startswith('c0: shape: 12 persons in 2 frames: the first axis is probably that of the frames')


TRUNK_REVERSED = [3, 2, 1, 0, *range(4, 20)]
LEGS_FIRST = [*range(4), *range(12, 20), *range(4, 12)]
ONE_SIDE = [*range(4), 4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 16, 17, 18, 19]


@pytest.mark.parametrize('order', [TRUNK_REVERSED, LEGS_FIRST, ONE_SIDE, np.random.default_rng(1).permutation(20)])
def test_joints_in_a_different_order_are_not_the_layout(tmp_path, order, request):
    """The right number of joints in the order of a different sensor, such as UTD-MHAD's own."""
    (line,) = warnings(write(tmp_path, [clip[:, :, order] for clip in bodies()]))
    assert "layout: the joints are probably not those of 'kinect20'" in line and 'docs/datasets/layouts.md' in line
    real = request.getfixturevalue('ucla')
    (line,) = warnings(write(tmp_path / 'real', [real.clip(i)[:, :, order] for i in range(0, 1484, 20)]))
    assert "layout: the joints are probably not those of 'kinect20'" in line


OPENPOSE25 = (
    'head neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist spine_base right_hip '
    'right_knee right_ankle left_hip left_knee left_ankle head head head head left_foot left_foot left_ankle '
    'right_foot right_foot right_ankle'
)


@pytest.mark.parametrize('D', [2, 3])
def test_other_25_joints_are_not_the_kinects(tmp_path, generated, D):
    """BODY_25 of OpenPose taken as ``ntu25``."""
    order = [generated.layout.joints.index(name) for name in OPENPOSE25.split()]
    clips = [generated.clip(i)[:, :, order, :D] for i in range(60)]
    (line,) = warnings(write(tmp_path, clips, 'ntu25'))
    assert "layout: the joints are probably not those of 'ntu25'" in line


def test_a_layout_that_fits_is_named(tmp_path):
    """Clips of ``h36m17`` under the name of ``coco17``, which has as many joints."""
    h36m = get_layout('h36m17')
    kinect = {name: BODY[i] for i, name in enumerate(get_layout('kinect20').joints)}
    synonyms = {'pelvis': 'hip_centre', 'thorax': 'shoulder_centre', 'neck': 'shoulder_centre'}
    pose = np.array([kinect[synonyms.get(name, name)] for name in h36m.joints])
    rng = np.random.default_rng(0)
    clips = [(pose + rng.normal(0, 0.01, (1, 6, 17, 3))).astype(np.float32) for _ in range(6)]
    assert warnings(write(tmp_path / 'right', clips, 'h36m17')) == []
    (line,) = warnings(write(tmp_path, clips, 'coco17'))
    assert "probably not those of 'coco17'" in line and line.endswith('--layout h36m17 fits')


@pytest.mark.parametrize(('factor', 'unit'), [(1000, 'millimetres'), (100, 'centimetres')])
def test_other_units_than_metres_are_named(tmp_path, factor, unit):
    packed = write(tmp_path, [clip * np.float32(factor) for clip in bodies()])
    (line,) = warnings(packed)
    assert f'unit: the trunk is {measure(packed).trunk:.4g} long' in line
    assert f'probably {unit}; ' in line and f'divide by {factor} ' in line
    assert measure(packed).unit == unit


@pytest.mark.parametrize('factor', [0.001, 1000])
def test_a_clip_in_a_different_unit_is_named(tmp_path, factor):
    clips = bodies()
    clips[5] = clips[5] * np.float32(factor)
    (line,) = warnings(write(tmp_path, clips))
    assert line.startswith('c5: keypoint: the trunk is ') and '1 clips are as far from it' in line


def test_a_clip_with_a_joint_far_away_is_named(tmp_path):
    clips = bodies()
    clips[2][:, :, 7] += 40
    (line,) = warnings(write(tmp_path, clips))
    assert line.startswith('c2: keypoint: a body is ') and 'skeattn browse' in line


def test_joints_at_the_origin_were_not_detected(tmp_path):
    clips = [scored(clip, 300, 500) for clip in bodies()]
    for clip in clips[3:]:
        clip[:, 5, 10] = 0
    (line,) = warnings(write(tmp_path, clips, channels=['x', 'y', 'score']))
    assert line.startswith('c3: keypoint: joint right_wrist is at the origin; so are 0.26 % of the joints of the set')


def test_the_origin_of_centred_coordinates_is_a_joint(tmp_path):
    assert warnings(write(tmp_path, [clip - clip[:, :, :1] for clip in bodies()])) == []


def listed_anew(clip: np.ndarray, every: int) -> np.ndarray:
    """Two persons, a body and a half apart, whose order in the list changes every so many frames."""
    clip = clip.copy()
    clip[1] = clip[0] + [1.5 * np.ptp(clip[0, 0, :, 1]), 0, 0]
    turned = np.arange(clip.shape[1]) // every % 2 == 1
    clip[:, turned] = clip[::-1, turned]
    return clip


@pytest.mark.parametrize('D', [2, 3])
def test_persons_who_change_places_are_named(tmp_path, D):
    clips = [clip[..., :D] for clip in (listed_anew(body(i, persons=2, frames=12), 2) for i in range(8))]
    (line,) = warnings(write(tmp_path / 'a', [*bodies(2, persons=2), *clips] if D == 3 else clips))
    assert f'c{2 if D == 3 else 0}: persons: persons change places in 5 of 11 frames; so they do in 8 of' in line
    assert line.endswith('convert again with --persons track')
    assert not warnings(write(tmp_path / 'b', [follow(clip, D, np.full(clip.shape[:2], -1)) for clip in clips]))


def test_a_person_who_takes_the_row_of_one_who_left_changes_places():
    clip, layout = listed_anew(body(persons=2, frames=12), 99), get_layout('kinect20')
    clip[0, 4:8], clip[1, 4:8] = clip[1, 4:8], 0  # the first is not detected in four frames, and the list closes up
    found = measure_clip(clip, 3, layout)
    assert (found.moves, found.steps) == (2, 3 + 4 + 1)
    clip[0, 4:8], clip[1, 4:8] = 0, clip[0, 4:8]
    assert (measure_clip(clip, 3, layout).moves, measure_clip(clip[:1], 3, layout).steps) == (0, 0)
    near = listed_anew(body(persons=2, frames=12), 1)
    near[1] = near[0] + 0.02
    assert measure_clip(near, 3, layout).moves == 0


def test_scores_in_percent_are_named(tmp_path):
    (line,) = warnings(write(tmp_path / 'a', [scored(c, 300, 500) * [1, 1, 100] for c in bodies()], **XY_SCORE))
    assert 'channels: score is' in line and 'probably in percent: a score lies in 0..1, divide by 100' in line
    peaks = [scored(c, 300, 500, low=0.9) * [1, 1, 1.2] for c in bodies()]
    assert warnings(write(tmp_path / 'b', peaks, **XY_SCORE)) == []


def test_labels_that_begin_at_one(tmp_path):
    (line,) = warnings(write(tmp_path, bodies(), labels=lambda i: 1 + i % 2, classes=3))
    assert "label: class 0 ('a') has no clip, all others have: labels probably begin at 1; subtract 1" in line
    assert warnings(write(tmp_path / 'part', bodies(), labels=lambda i: 1, classes=3)) == []


def test_measures_are_those_of_the_joints_that_are_there():
    clip = body(persons=2, frames=10)
    clip[1, 3:] = 0
    clip[0, 2, 5] = np.nan
    found = measure_clip(clip, 3, get_layout('kinect20'))
    there = np.concatenate([clip[0], clip[1, :3]]).reshape(-1, 3)
    there = there[np.isfinite(there).all(axis=1)]
    np.testing.assert_allclose(found.low, there.min(axis=0))
    np.testing.assert_allclose(found.high, there.max(axis=0))
    np.testing.assert_allclose(found.middle, np.median(there, axis=0), rtol=1e-6)
    assert (found.persons, found.joints, found.missing, found.zero.sum()) == (2, 13 * 20, 1, 0)
    lengths = [np.linalg.norm(clip[m, t, 2] - clip[m, t, 0]) for m, t in np.ndindex(2, 10) if m == 0 or t < 3]
    assert found.trunk == pytest.approx(np.median(lengths))


def test_a_tree_is_measured_against_the_shortest():
    points = np.array([[0, 0], [1, 0], [3, 0], [1, 2]], float)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert spanning_length(distances) == 1 + 2 + 2
    layout = get_layout('kinect20')
    tree = fit_tree([np.array(BODY)[None]], layout)
    bones = sum(np.linalg.norm(np.subtract(BODY[j], BODY[parent])) for j, parent in layout.bones)
    shortest = spanning_length(np.linalg.norm(np.array(BODY)[:, None] - np.array(BODY)[None], axis=-1))
    assert tree.length == pytest.approx(bones / shortest) and tree.variation == 0 and tree.asymmetry < 1e-6
    assert fit_tree([np.zeros((1, 20, 3))], layout) is None and len(LAYOUTS) > 5


def test_parts_on_which_nothing_is_evaluated_are_named(tmp_path):
    """A split without test clips, and one without labels, serve pre-training alone."""
    splits = {'mine': {'field': 'subject', 'train': [1]}, 'other': {'field': 'camera', 'train': [-1]}}
    with PackedWriter(tmp_path / 'set', 'toy', 'kinect20', ['a', 'b'], splits) as writer:
        for i, clip in enumerate(bodies()):
            writer.add(f'c{i}', clip, label=-1 if i < 4 else i % 2, subject=i // 4)
    without_labels, without_test = warnings(PackedSet.open(tmp_path / 'set'))
    assert "split 'mine': no test clip has a label: it serves pre-training" in without_labels
    assert "split 'other': there is no test clip: it serves pre-training" in without_test
