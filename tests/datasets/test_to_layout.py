"""Clips of another layout: joints by name, in the order asked for."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.datasets import Pipeline, SkeletonDataset
from skeattn.errors import ConfigError
from skeattn.skeletons import LAYOUTS, SYNONYMS, SkeletonLayout, corresponding, get_layout
from tests.engine.toy import write_set

NTU, KINECT = get_layout('ntu25'), get_layout('kinect20')


def star(names, name='star'):
    """A layout with these joints, all hanging on the first."""
    V = len(names)
    return SkeletonLayout(name, tuple(names), (0,) * V, (), {'all': tuple(range(V))}, 0, (0, V - 1), (0, V - 1))


def clip(layout, T=4):
    """Joint v of frame t is at (v, t, 1)."""
    grid = np.stack(np.meshgrid(np.arange(T), np.arange(layout.num_joints), indexing='ij')[::-1], axis=-1)
    keypoint = np.concatenate([grid, np.ones_like(grid[..., :1])], axis=-1)[None].astype(np.float32)
    return {'keypoint': keypoint, 'layout': layout, 'name': 'c', 'total_frames': T}


def convert(source, target):
    LAYOUTS[target.name] = target
    pipeline = Pipeline({'to_layout': {'type': 'ToLayout', 'layout': target.name}})
    assert pipeline.layout_after(source) == target
    return pipeline(clip(source))


@given(st.permutations(list('abcdefg')), st.permutations(list('abcdefg')), st.integers(2, 7))
def test_every_joint_keeps_its_place_in_space(names, wanted, kept):
    source, target = star(names, 'source'), star(wanted[:kept], 'target')
    out = convert(source, target)
    assert out['layout'] == target
    assert out['keypoint'][0, 2, :, 0].tolist() == [names.index(name) for name in target.joints]
    LAYOUTS.pop('target')


def test_kinect_2_gives_the_joints_of_kinect_1():
    out = convert(NTU, KINECT)
    same = {'hip_centre': 'spine_base', 'spine': 'spine_mid', 'shoulder_centre': 'spine_upper'}
    expected = [NTU.joints.index(same.get(name, name)) for name in KINECT.joints]
    assert out['keypoint'][0, 0, :, 0].tolist() == expected
    # Both have the same body: what is left is left, what is the shoulders' is the shoulders'.
    assert [expected[i] for i in KINECT.shoulders] == list(NTU.shoulders) and expected[KINECT.hip] == NTU.hip
    assert [expected[i] for i in KINECT.spine] == list(NTU.spine)


def test_a_joint_of_that_very_name_goes_before_another_name_for_it():
    both = star(['spine_mid', 'spine', 'head'], 'both')
    assert corresponding(both, star(['spine', 'head'])) == (1, 2)
    assert corresponding(both, star(['head', 'spine_mid'])) == (2, 0)


@pytest.mark.parametrize('name', [name for name in LAYOUTS if name not in ('ntu25', 'kinect20', 'florence15')])
def test_no_other_shipped_layouts_are_taken_for_each_other(name):
    for other in ('ntu25', 'kinect20'):
        for source, target in ((name, other), (other, name)):
            with pytest.raises(ConfigError, match=f'layout {target!r} has joints that layout {source!r} lacks'):
                corresponding(get_layout(source), get_layout(target))


def test_a_layout_whose_joints_are_all_there_is_read_from_a_larger_one():
    ntu, florence = get_layout('ntu25'), get_layout('florence15')
    names = [ntu.joints[i] for i in corresponding(ntu, florence)]
    assert names[:2] == ['head', 'neck'] and names[3:] == list(florence.joints[3:])
    with pytest.raises(ConfigError, match="layout 'ntu25' has joints that layout 'florence15' lacks"):
        corresponding(florence, ntu)


def test_names_of_a_joint_stand_in_one_group_and_are_never_two_joints_of_a_layout():
    names = sum(SYNONYMS, ())
    assert len(set(names)) == len(names)
    for layout in LAYOUTS.values():
        assert all(len(set(group) & set(layout.joints)) <= 1 for group in SYNONYMS)


def test_joints_that_clips_lack_are_named_before_any_is_read(tmp_path):
    data = write_set(tmp_path / 'set', 'kinect20')
    pipeline = {'to_layout': {'type': 'ToLayout', 'layout': 'ntu25'}, 'pack': {'type': 'PackClip'}}
    message = (
        "'ntu25' has joints that layout 'kinect20' lacks: neck, left_hand_tip, left_thumb, right_hand_tip, right_thumb"
    )
    with pytest.raises(ConfigError, match=message):
        SkeletonDataset(data, 'xsub', pipeline=pipeline, layout='ntu25')


def test_the_data_set_has_the_layout_that_the_steps_make(tmp_path):
    data = write_set(tmp_path / 'set', 'ntu25')
    pipeline = {
        'to_layout': {'type': 'ToLayout', 'layout': 'kinect20'},
        'centre': {'type': 'Centre', 'joint': 'hip_centre'},
        'resample': {'type': 'Resample', 'num_frames': 8},
        'pack': {'type': 'PackClip', 'num_persons': 1},
    }
    dataset = SkeletonDataset(data, 'xsub', pipeline=pipeline, layout='kinect20')
    assert dataset.layout == KINECT and dataset.clips.shape[1:] == (3, 8, 20, 1)
    assert (dataset.clips[:, :, :, KINECT.hip] == 0).all()
    with pytest.raises(ConfigError, match=r"layout='ntu25', but .* layout 'kinect20'"):
        SkeletonDataset(data, 'xsub', pipeline=pipeline, layout='ntu25')


def test_a_layout_can_be_defined_in_the_step():
    own = {
        **{f.name: getattr(KINECT, f.name) for f in dataclasses.fields(KINECT)},
        'name': 'mine', 'joints': KINECT.joints,
    }  # fmt: skip
    pipeline = Pipeline({'to_layout': {'type': 'ToLayout', 'layout': own}})
    assert pipeline(clip(NTU))['keypoint'].shape[2] == 20 and pipeline.layout_after(NTU).name == 'mine'
