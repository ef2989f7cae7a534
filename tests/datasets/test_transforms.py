"""The pipeline: equal to the released preprocessing, and its other centres and views do what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.datasets import AlignView, Centre, FillGaps, PackClip, PadFrames, Pipeline, Resample, TrimEmpty, Window
from skeattn.datasets.converters.ntu import parse
from skeattn.datasets.transforms.resample import resample
from skeattn.errors import ConfigError, DataError
from skeattn.registry import TRANSFORMS
from skeattn.skeletons import get_layout
from tests.conftest import shared_path
from tests.datasets.raw import clip as random_clip

NTU, KINECT = get_layout('ntu25'), get_layout('kinect20')
RELEASED = {
    'centre': {'type': 'Centre'},
    'resample': {'type': 'Resample', 'num_frames': 64},
    'align': {'type': 'AlignView'},
    'pack': {'type': 'PackClip'},
}


CLEAN = {
    'trim': {'type': 'TrimEmpty'},
    'fill': {'type': 'FillGaps'},
    'centre': {'type': 'Centre', 'joint': 'hip', 'reference': 'first'},
    'align': {'type': 'AlignView', 'mode': 'body_first'},
}


def assert_close(actual, golden, tolerance=1e-5):
    assert actual.shape == golden.shape
    assert np.abs(actual - golden).max() <= tolerance * max(1, np.abs(golden).max())


def as_clip(keypoint, layout=KINECT):
    return {'keypoint': keypoint, 'layout': layout, 'name': 'c', 'total_frames': keypoint.shape[1]}


def yaw(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


@pytest.mark.parametrize('T', [50, 64])
def test_raw_ntu_text_through_the_pipeline_equals_the_release(T):
    golden = np.load(shared_path('golden/preprocess_case.npz'))
    pipeline = Pipeline({**RELEASED, 'resample': {'type': 'Resample', 'num_frames': T}})
    for i, name in enumerate(golden['names']):
        _, keypoint, *_ = parse(str(name), golden[f'text{i}'].tobytes())
        assert_close(pipeline(as_clip(keypoint, NTU))['inputs'], golden[f'T{T}/position'][i])


@pytest.mark.parametrize('frames', [16, 24, 50])
def test_resample_equals_the_release(frames):
    golden = np.load(shared_path('golden/augment_resize.npz'))
    actual = resample(golden['x'].transpose(3, 1, 2, 0), frames).transpose(3, 1, 2, 0)
    assert_close(actual, golden[f'resize_to_{frames}'])


def test_a_window_equals_the_release():
    golden = np.load(shared_path('golden/augment_resize.npz'))
    keypoint, begin = golden['x'].transpose(3, 1, 2, 0), int(golden['window16_begin'])
    windows = {'center': Window(16), 'random': Window(16, begin)}
    for name, window in windows.items():
        out = window.transform(as_clip(keypoint, NTU))
        assert_close(out['keypoint'].transpose(3, 1, 2, 0), golden[f'window16_{name}'])
        assert out['total_frames'] == 16
    assert_close(Window(40).transform(as_clip(keypoint, NTU))['keypoint'].transpose(3, 1, 2, 0), golden['window40'])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9))
def test_a_window_never_begins_so_late_that_frames_are_missing(frames, wanted, begin):
    ramp = np.arange(float(frames)).reshape(1, frames, 1, 1)
    kept = Window(wanted, begin).transform(as_clip(ramp))['keypoint'].ravel().tolist()
    first = min(begin, max(0, frames - wanted))
    assert kept == list(range(first, first + min(wanted, frames)))


@pytest.mark.parametrize('arguments', [dict(num_frames=0), dict(num_frames=4, begin=-1)])
def test_a_window_of_nothing_is_refused(arguments):
    with pytest.raises(ConfigError, match='Window'):
        Window(**arguments)


def test_resample_uses_half_pixel_centres_and_clamps():
    ramp = np.arange(4.0).reshape(1, 4, 1, 1)
    np.testing.assert_allclose(resample(ramp, 8).ravel(), [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_allclose(resample(ramp, 2).ravel(), [0.5, 2.5])
    np.testing.assert_array_equal(resample(ramp, 4), ramp)
    np.testing.assert_array_equal(resample(ramp[:, :1], 3).ravel(), [0, 0, 0])


def test_the_released_length_counts_the_frames_of_person_0_but_cuts_from_the_start():
    keypoint = random_clip(frames=6)
    keypoint[0, 0] = 0  # an empty first frame stays in, the last frame is lost
    released = Resample(5).transform(as_clip(keypoint))
    np.testing.assert_array_equal(released['keypoint'], keypoint[:, :5])
    assert released['total_frames'] == 5
    np.testing.assert_array_equal(Resample(6, length='all').transform(as_clip(keypoint))['keypoint'], keypoint)


@given(st.integers(1, 9), st.integers(1, 9))
def test_padding_keeps_the_start_and_fills_the_rest_with_nothing(frames, wanted):
    keypoint = random_clip(persons=2, frames=frames)
    padded = PadFrames(wanted).transform(as_clip(keypoint))
    kept = min(frames, wanted)
    assert padded['keypoint'].shape == (2, wanted, 20, 3) and padded['keypoint'].dtype == np.float32
    assert padded['total_frames'] == wanted
    np.testing.assert_array_equal(padded['keypoint'][:, :kept], keypoint[:, :kept])
    np.testing.assert_array_equal(padded['keypoint'][:, kept:], 0)


def test_a_frame_counts_if_any_joint_is_present_also_where_joint_1_is_at_the_origin():
    """Kind G5: the release asks joint 1 alone, and loses the frames in which it lies exactly at 0."""
    keypoint = random_clip(frames=6)
    keypoint[0, 2:4, 1] = 0
    np.testing.assert_array_equal(Resample(6).transform(as_clip(keypoint))['keypoint'], keypoint)


def test_raw_clips_of_any_length_come_out_alike_by_default():
    pipeline = Pipeline({'pad': {'type': 'PadFrames'}, 'pack': {'type': 'PackClip'}})
    for frames in (3, 300, 301):
        assert pipeline(as_clip(random_clip(frames=frames)))['inputs'].shape == (3, 300, 20, 2)


def test_centring_on_the_hip_does_not_change_the_length():
    keypoint = random_clip(frames=6)
    pipeline = Pipeline({'c': {'type': 'Centre', 'joint': 'hip'}, 'r': {'type': 'Resample', 'num_frames': 6}})
    np.testing.assert_allclose(pipeline(as_clip(keypoint))['keypoint'], keypoint - keypoint[:, :, KINECT.hip, None])


def test_centre_per_frame_is_per_person_and_by_the_joint_asked_for():
    keypoint = random_clip(persons=2)
    for joint, index in [('root', KINECT.root), ('hip', KINECT.hip), ('head', 3), (7, 7)]:
        centred = Centre(joint).transform(as_clip(keypoint))['keypoint']
        np.testing.assert_array_equal(centred, keypoint - keypoint[:, :, index, None])


def test_centre_on_the_first_frame_keeps_motion_and_the_distance_between_persons():
    keypoint = random_clip(persons=2)
    keypoint[0, 0] = 0  # person 0 comes in at frame 1
    centred = Centre('hip', reference='first').transform(as_clip(keypoint))['keypoint']
    origin = keypoint[0, 1, KINECT.hip]
    np.testing.assert_array_equal(centred[0, 0], np.zeros((20, 3)))
    np.testing.assert_allclose(centred[0, 1:], keypoint[0, 1:] - origin)
    np.testing.assert_allclose(centred[1], keypoint[1] - origin)


def test_released_yaw_lays_the_shoulders_along_x_in_every_frame_whatever_the_camera():
    keypoint = Centre().transform(as_clip(random_clip(frames=3)))['keypoint']
    left, right = KINECT.shoulders
    keypoint[:, :, right] = keypoint[:, :, left] + [0.35, 0.02, 0.1]
    for camera in (0, 30, 100):
        turned = keypoint @ yaw(camera).T.astype(np.float32)
        aligned = AlignView('yaw_frame').transform(as_clip(turned))['keypoint']
        across = aligned[0, :, right] - aligned[0, :, left]
        np.testing.assert_allclose(across[:, 0], np.hypot(0.35, 0.1), atol=2e-3)
        np.testing.assert_allclose(across[:, 2], 0, atol=1e-2)


def test_released_yaw_takes_one_sign_for_the_whole_clip():
    keypoint = np.zeros((1, 3, 20, 3), np.float32)
    right = KINECT.shoulders[1]
    keypoint[0, :, right] = [[0.3, 0, 0.3], [0.3, 0, 0.3], [0.3, 0, -0.3]]
    across = AlignView('yaw_frame').transform(as_clip(keypoint))['keypoint'][0, :, right]
    # The minority frame is turned the wrong way: by 45 degrees away from x, onto -z.
    np.testing.assert_allclose(across, [[0.4243, 0, 0], [0.4243, 0, 0], [0, 0, -0.4243]], atol=2e-4)


@given(st.floats(-180, 180), st.integers(0, 20))
def test_yaw_of_the_first_frame_cancels_any_camera_yaw(degrees, seed):
    scene = random_clip(seed, persons=2)
    turned = (scene @ yaw(degrees).T).astype(np.float32)
    align = AlignView('yaw_first')
    expected = align.transform(as_clip(scene))['keypoint']
    np.testing.assert_allclose(align.transform(as_clip(turned))['keypoint'], expected, atol=2e-5)
    across = expected[0, 0, KINECT.shoulders[1]] - expected[0, 0, KINECT.shoulders[0]]
    assert across[0] > 0 and abs(across[2]) < 1e-5


@given(st.integers(0, 50))
def test_body_frame_of_the_first_frame_cancels_any_rotation(seed):
    scene = random_clip(seed, persons=2)
    turned = (scene @ rotation(seed).T).astype(np.float32)
    align = AlignView('body_first')
    expected = align.transform(as_clip(scene))['keypoint']
    np.testing.assert_allclose(align.transform(as_clip(turned))['keypoint'], expected, atol=1e-4)
    spine = expected[0, 0, KINECT.spine[1]] - expected[0, 0, KINECT.spine[0]]
    across = expected[0, 0, KINECT.shoulders[1]] - expected[0, 0, KINECT.shoulders[0]]
    np.testing.assert_allclose(spine[[0, 2]], 0, atol=1e-5)
    assert spine[1] > 0 and across[0] > 0 and abs(across[2]) < 1e-5


@pytest.mark.parametrize('mode', ['yaw_frame', 'yaw_first', 'body_first', 'none'])
def test_every_view_keeps_distances_absent_persons_and_degenerate_bodies(mode):
    keypoint = random_clip(persons=2)
    keypoint[1] = 0
    keypoint[0, 0] = 1  # all joints in one point: no direction
    aligned = AlignView(mode).transform(as_clip(keypoint))['keypoint']
    assert aligned.dtype == np.float32
    np.testing.assert_array_equal(aligned[1], 0)
    np.testing.assert_allclose(np.linalg.norm(aligned, axis=-1), np.linalg.norm(keypoint, axis=-1), rtol=1e-5)
    point = np.ones((1, 3, 20, 3), np.float32)
    assert np.isfinite(AlignView(mode).transform(as_clip(point))['keypoint']).all()


def ramp(there):
    """One person, whose only joint stands at t + 1 in the frames where it is there."""
    there = np.array(there, bool)
    return ((np.arange(len(there)) + 1) * there).astype(np.float32)[None, :, None, None]


@pytest.mark.parametrize(
    ('where', 'kept'), [('start', [2, 0, 4, 0, 0]), ('end', [0, 2, 0, 4]), ('ends', [2, 0, 4]), ('all', [2, 4])]
)
def test_empty_frames_are_trimmed_where_asked_for(where, kept):
    out = TrimEmpty(where).transform(as_clip(ramp([0, 1, 0, 1, 0, 0])))
    assert out['keypoint'].ravel().tolist() == kept and out['total_frames'] == len(kept)


def test_a_frame_with_any_person_is_kept_and_a_clip_of_nobody_is_named():
    two = np.concatenate([ramp([0, 1, 0, 0]), ramp([0, 0, 0, 1])])
    np.testing.assert_array_equal(TrimEmpty().transform(as_clip(two))['keypoint'], two[:, 1:])
    with pytest.raises(DataError, match='c: no person is present'):
        TrimEmpty().transform(as_clip(ramp([0, 0])))


@pytest.mark.parametrize(
    ('longest', 'filled'),
    [(0, [0, 2, 0, 4, 0, 0, 7, 0]), (1, [0, 2, 3, 4, 0, 0, 7, 0]), (2, [0, 2, 3, 4, 5, 6, 7, 0])],
)
def test_gaps_are_filled_up_to_the_longest_and_the_ends_stay_empty(longest, filled):
    keypoint = ramp([0, 1, 0, 1, 0, 0, 1, 0])
    out = FillGaps(longest).transform(as_clip(keypoint))['keypoint']
    np.testing.assert_allclose(out.ravel(), filled, rtol=1e-6)
    assert out.dtype == np.float32


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=3), st.integers(0, 9))
def test_filling_touches_nothing_but_short_gaps_of_each_person(there, longest):
    keypoint = np.concatenate([ramp(person) for person in there])
    before = keypoint.copy()
    out = FillGaps(longest).transform(as_clip(keypoint))['keypoint']
    np.testing.assert_array_equal(keypoint, before)
    for person, seen in zip(out[..., 0, 0], there, strict=True):
        text = ''.join('x' if s else '.' for s in seen)
        inner = text.strip('.')
        first = text.find(inner)
        gaps = [gap for gap in inner.split('x') if 0 < len(gap) <= longest]
        expected = sum(seen) + sum(map(len, gaps))
        assert (person > 0).sum() == expected
        ideal = np.arange(7) + 1  # every bridge lies on the ramp
        np.testing.assert_allclose(person[person > 0], ideal[person > 0], rtol=1e-6)
        assert not person[:first].any() and not person[first + len(inner) :].any()


def test_without_a_longest_gap_all_are_bridged():
    out = FillGaps(None).transform(as_clip(ramp([1] + [0] * 40 + [1])))['keypoint']
    np.testing.assert_allclose(out.ravel(), np.arange(42) + 1, rtol=1e-6)


def test_a_person_who_comes_does_not_grow_out_of_the_origin():
    keypoint = ramp([0, 0, 1, 1])
    blended = Resample(8, 'all').transform(as_clip(keypoint))['keypoint'].ravel()
    np.testing.assert_allclose(blended, [0, 0, 0, 0.75, 2.25, 3.25, 3.75, 4])
    clean = Resample(8, 'all', blend_absent=False).transform(as_clip(keypoint))['keypoint'].ravel()
    np.testing.assert_allclose(clean, [0, 0, 0, 0, 3, 3.25, 3.75, 4])


@given(st.integers(0, 30), st.integers(1, 12))
def test_where_all_are_there_both_ways_of_resampling_agree(seed, frames):
    keypoint = random_clip(seed, persons=2, frames=5)
    np.testing.assert_array_equal(resample(keypoint, frames), resample(keypoint, frames, blend_absent=False))


@given(st.integers(0, 50), st.lists(st.sampled_from(['both', 'first', 'second', 'none']), min_size=5, max_size=9))
def test_the_clean_steps_move_the_scene_as_one(seed, who):
    """Global motion and the distance between persons survive; person 0 starts in the origin, upright, along x."""
    scene = random_clip(seed, persons=2, frames=len(who) + 1)
    for t, there in enumerate(who, start=1):  # person 0 is there in frame 0
        scene[0, t] *= there in ('both', 'first')
        scene[1, t] *= there in ('both', 'second')
    filled = Pipeline({k: CLEAN[k] for k in ('trim', 'fill')})(as_clip(scene))['keypoint']
    out = Pipeline(CLEAN)(as_clip((scene @ rotation(seed).T).astype(np.float32)))['keypoint']
    seen = filled.any(axis=(2, 3))
    np.testing.assert_array_equal(out.any(axis=(2, 3)), seen)
    for joint in (KINECT.hip, 7):
        before, after = filled[seen][:, joint], out[seen][:, joint]
        apart = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (before, after)]
        np.testing.assert_allclose(*apart, atol=1e-4)
    np.testing.assert_allclose(out[0, 0, KINECT.hip], 0, atol=1e-6)
    across = out[0, 0, KINECT.shoulders[1]] - out[0, 0, KINECT.shoulders[0]]
    assert across[0] > 0 and abs(across[2]) < 1e-4


@pytest.mark.parametrize('frames', [1, 50, 64, 77])
@pytest.mark.parametrize('joints', [20, 25])
def test_the_clean_steps_give_any_number_of_frames(frames, joints):
    last = {'resample': {'type': 'Resample', 'num_frames': frames, 'length': 'all', 'blend_absent': False}}
    pipeline = Pipeline({**CLEAN, **last, 'pack': {'type': 'PackClip'}})
    keypoint = random_clip(persons=2, frames=9, joints=joints)
    keypoint[1, :4] = 0
    layout = {20: KINECT, 25: NTU}[joints]
    assert pipeline(as_clip(keypoint, layout))['inputs'].shape == (3, frames, joints, 2)


def test_an_absent_second_person_stays_zero_through_all_steps():
    keypoint = random_clip(persons=2, joints=25)
    keypoint[1] = 0
    inputs = Pipeline(RELEASED)(as_clip(keypoint, NTU))['inputs']
    assert np.abs(inputs[..., 0]).max() > 0.1
    np.testing.assert_array_equal(inputs[..., 1], 0)


def test_pack_transposes_drops_and_fills_persons():
    keypoint = random_clip(persons=2)
    np.testing.assert_array_equal(PackClip(2)(as_clip(keypoint))['inputs'], keypoint.transpose(3, 1, 2, 0))
    np.testing.assert_array_equal(PackClip(1)(as_clip(keypoint))['inputs'][..., 0], keypoint[0].transpose(2, 0, 1))
    padded = PackClip(3)(as_clip(keypoint))['inputs']
    assert padded.shape == (3, 4, 20, 3) and padded.dtype == np.float32
    np.testing.assert_array_equal(padded[..., 2], 0)


@pytest.mark.parametrize('step', [Resample(8), Centre(reference='first')])
def test_a_clip_without_person_0_is_an_error_by_name(step):
    keypoint = random_clip(persons=2)
    keypoint[0] = 0
    with pytest.raises(DataError, match='c: person 0 is absent'):
        step.transform(as_clip(keypoint))


def test_a_clip_of_one_frame_survives():
    keypoint = random_clip(frames=1, joints=25)
    inputs = Pipeline(RELEASED)(as_clip(keypoint, NTU))['inputs']
    assert inputs.shape == (3, 64, 25, 2)
    np.testing.assert_array_equal(inputs, np.repeat(inputs[:, :1], 64, axis=1))


def test_the_stored_clip_is_never_changed():
    keypoint = random_clip(persons=2, joints=25)
    keypoint.setflags(write=False)
    before = keypoint.copy()
    for mode in ('yaw_frame', 'yaw_first', 'body_first'):
        for reference in ('frame', 'first'):
            steps = {'centre': {'type': 'Centre', 'reference': reference}, 'align': {'type': 'AlignView', 'mode': mode}}
            Pipeline({**RELEASED, **steps})(as_clip(keypoint, NTU))
    np.testing.assert_array_equal(keypoint, before)


def test_steps_run_in_the_order_written_and_none_removes_one():
    keypoint = random_clip()
    pipeline = Pipeline(
        {**RELEASED, 'centre': None, 'align': None, 'resample': None, 'pack': {'type': 'PackClip', 'num_persons': 1}}
    )
    assert list(pipeline.steps) == ['pack']
    np.testing.assert_array_equal(pipeline(as_clip(keypoint))['inputs'], keypoint.transpose(3, 1, 2, 0))
    assert list(Pipeline(RELEASED).steps) == ['centre', 'resample', 'align', 'pack']


def test_a_step_runs_where_it_says():
    jitter = {'type': 'ScaleBody', 'before': 'pack'}
    assert list(Pipeline({**RELEASED, 'scale': jitter}).steps) == ['centre', 'resample', 'align', 'scale', 'pack']


def test_a_step_after_packing_is_refused():
    with pytest.raises(
        ConfigError, match=r"pipeline\.scale runs after pipeline\.pack.*: scale=dict\(\.\.\., before='pack'\)"
    ):
        Pipeline({**RELEASED, 'scale': {'type': 'ScaleBody'}})
    Pipeline({**RELEASED, 'scale': None})


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'type': 'Centre', 'reference': 'last'}, "Centre: reference='last'"),
        ({'type': 'Resample', 'num_frames': 0}, 'Resample: num_frames=0'),
        ({'type': 'PadFrames', 'num_frames': 0}, 'PadFrames: num_frames=0'),
        ({'type': 'Resample', 'length': 'longest'}, "length='longest'"),
        (
            {'type': 'AlignView', 'mode': 'yaw'},
            "AlignView: mode='yaw' is not one of yaw_frame, yaw_first, body_first, none",
        ),
        ({'type': 'PackClip', 'num_persons': 0}, 'PackClip: num_persons=0'),
        ({'type': 'TrimEmpty', 'where': 'middle'}, "TrimEmpty: where='middle' is not one of start, end, ends, all"),
        ({'type': 'FillGaps', 'longest': -1}, 'FillGaps: longest=-1 must not be negative'),
        ({'type': 'Center'}, "did you mean 'Centre'"),
    ],
)
def test_a_wrong_setting_is_a_config_error(config, message):
    with pytest.raises(ConfigError, match=message):
        TRANSFORMS.build(config)


def test_a_pipeline_must_be_a_dict_of_named_steps():
    with pytest.raises(ConfigError, match='pipeline must be a dict of named steps'):
        Pipeline([{'type': 'Centre'}])


def test_an_unknown_joint_and_flat_coordinates_are_config_errors():
    with pytest.raises(ConfigError, match="'kinect20' has no joint 'tail'"):
        Centre('tail').transform(as_clip(random_clip()))
    with pytest.raises(ConfigError, match='AlignView: c has 2 coordinates per joint, not 3'):
        AlignView().transform(as_clip(random_clip()[..., :2]))
