"""Layouts are consistent, and everything derived from them follows."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import functional as F
from skeattn.augment import generator
from skeattn.datasets.transforms import AlignView, Centre, PackClip, Pipeline
from skeattn.errors import ConfigError
from skeattn.graph import adjacency
from skeattn.models import SkeletonPreprocessor
from skeattn.registry import AUGMENTS, MODELS
from skeattn.skeletons import LAYOUTS, SkeletonLayout, describe_layout, get_layout, register_layout
from tests.augment.clips import clips, partners_in, spec

SHIPPED = (
    'body25', 'coco17', 'florence15', 'h36m17', 'kard15', 'kinect20', 'mediapipe33', 'ntu25', 'openpose18', 'sbu15',
    'smpl24',
)  # fmt: skip
# Other test modules register operations as well.
OURS = sorted(name for name, op in AUGMENTS.module_dict.items() if op.__module__.startswith('skeattn.'))
# As a user would write it in a config, with joints by name.
STICK = {
    'name': 'stick5',
    'joints': ['pelvis', 'left_hand', 'right_hand', 'left_foot', 'right_foot'],
    'parents': ['pelvis'] * 5,
    'mirror': [['left_hand', 'right_hand'], ['left_foot', 'right_foot']],
    'parts': {'trunk': ['pelvis'], 'arms': ['left_hand', 'right_hand'], 'legs': ['left_foot', 'right_foot']},
    'hip': 'pelvis',
    'spine': ['pelvis', ['left_hand', 'right_hand']],
    'shoulders': ['left_hand', 'right_hand'],
}


def standing(layout: SkeletonLayout) -> np.ndarray:
    """A body ``(V, 3)`` of random proportions, symmetric about x = 0: left at negative x, shoulders above the hips."""
    body = np.random.default_rng(0).random((layout.num_joints, 3))
    body[:, 0] = 0
    for left, right in layout.mirror:
        body[left, 1:] = body[right, 1:]
        body[left, 0], body[right, 0] = -0.2, 0.2
    lower, upper = ([end] if isinstance(end, int) else list(end) for end in layout.spine)
    body[lower, 1:], body[upper, 1:] = [0, 3], [2, 3]
    body[list(layout.shoulders), 1:] = [2, 3]
    return body


def test_the_layouts_of_the_toolbox():
    assert {name: layout.num_joints for name, layout in LAYOUTS.items() if name in SHIPPED} == {
        'ntu25': 25, 'kinect20': 20, 'coco17': 17, 'openpose18': 18, 'h36m17': 17, 'mediapipe33': 33, 'smpl24': 24,
        'body25': 25, 'sbu15': 15, 'florence15': 15, 'kard15': 15,
    }  # fmt: skip


@pytest.mark.parametrize('name', SHIPPED)
def test_mirror_pairs_join_left_and_right_of_the_same_name(name):
    layout = get_layout(name)
    for left, right in layout.mirror:
        assert layout.joints[left].replace('left', 'right') == layout.joints[right]
    assert [layout.mirrored[j] for j in layout.mirrored] == list(range(layout.num_joints))


@pytest.mark.parametrize('name', SHIPPED)
def test_mirroring_keeps_the_bone_tree_and_the_parts(name):
    layout = get_layout(name)
    for joint, parent in layout.bones:
        assert layout.parents[layout.mirrored[joint]] == layout.mirrored[parent]
    assert sorted(layout.mirrored[j] for j in layout.parts['left_arm']) == sorted(layout.parts['right_arm'])
    assert sorted(layout.mirrored[j] for j in layout.parts['left_leg']) == sorted(layout.parts['right_leg'])
    assert list(layout.parts) == ['trunk', 'right_arm', 'left_arm', 'right_leg', 'left_leg']


@pytest.mark.parametrize('name', SHIPPED)
def test_names_show_sides_parts_and_the_trunk(name):
    layout = get_layout(name)
    sides = {side: [j for j, joint in enumerate(layout.joints) if joint.startswith(side)] for side in ('left', 'right')}
    assert sorted(sum(layout.mirror, ())) == sorted([*sides['left'], *sides['right']])
    for side, joints in sides.items():
        arm, leg = (f'{side}_{limb}' for limb in ('arm', 'leg'))
        assert {part for part, members in layout.parts.items() if set(members) & set(joints)} <= {arm, leg, 'trunk'}
        for part, ends in ((arm, ('elbow', 'wrist', 'hand', 'thumb')), (leg, ('knee', 'ankle', 'foot'))):
            assert {j for j in joints if layout.joints[j].endswith(ends)} <= set(layout.parts[part])
    left, right = layout.shoulders
    assert (layout.joints[left], layout.joints[right]) == ('left_shoulder', 'right_shoulder')
    lower, upper = layout.spine
    for end in (layout.hip, lower, upper):  # on the midline, or the mean of a pair
        members = (end,) if isinstance(end, int) else end
        assert sorted(layout.mirrored[j] for j in members) == sorted(members)
    assert lower == layout.hip


@pytest.mark.parametrize('name', SHIPPED)
@pytest.mark.parametrize('strategy', ['agcn', 'spatial'])
def test_the_graph_of_each_layout_holds_its_bones_and_is_the_same_on_both_sides(name, strategy):
    layout, A = get_layout(name), adjacency(name, strategy)
    V, m = layout.num_joints, list(layout.mirrored)
    links = {(j, j) for j in range(V)} | {pair for bone in layout.bones for pair in (bone, bone[::-1])}
    assert A.shape == (3, V, V) and set(zip(*np.nonzero(A.sum(axis=0)), strict=True)) == links
    np.testing.assert_array_equal(A[:, m][:, :, m], A)


@pytest.mark.parametrize('name', SHIPPED)
def test_streams_of_each_layout(name):
    layout, x = get_layout(name), clips(layout=name)
    bone = F.derive_stream(x, 'bone', layout)
    for joint, parent in layout.bones:
        assert torch.equal(bone[:, :, :, joint], x[:, :, :, joint] - x[:, :, :, parent])
    assert not bone[:, :, :, layout.root].any()
    assert torch.equal(F.derive_stream(x, 'motion', layout)[:, :, 0], x[:, :, 1] - x[:, :, 0])


@pytest.mark.parametrize('name', SHIPPED)
@pytest.mark.parametrize('op', OURS)
def test_each_operation_works_on_each_layout(name, op):
    changes = {
        'SkeleMix': {'units': (1, 3)},
        'RandomJointMask': {'fill': 7.0},
        'CropResize': {'min_frames': 1},
        'CropSample': {'min_frames': 4},
    }
    options = changes.get(op, {})
    augment, x = AUGMENTS.build({'type': op, **options}), clips(layout=name)
    params = augment.draw(spec(layout=name), generator(0, op))
    changed = augment.apply(x, params, partners_in(x))
    frames = augment.frames_left(x.shape[2])
    persons = 1 if op == 'PickPerson' else x.shape[4]
    assert changed.shape == (*x.shape[:2], frames, x.shape[3], persons) and changed.isfinite().all()
    notes = augment.notes(params, frames)
    only_note = ('CentralSpatialMasking', 'TokenNoise', 'TubeMask')  # what they drew
    assert torch.equal(changed, x) == (op in only_note)
    assert notes or not torch.equal(changed, x)
    if op == 'SpatialFlip':
        assert torch.equal(augment.apply(changed, params, partners_in(x)), x)
    if op == 'SkeleMix':  # whole parts of the body are pasted
        parts = [list(members) for members in get_layout(name).parts.values()]
        assert all(params['joints'][:, part].float().std(dim=1, correction=0).max() == 0 for part in parts)


@pytest.mark.parametrize('name', SHIPPED)
@pytest.mark.parametrize('stream', ['joint', 'motion', 'bone'])
def test_the_encoder_reads_each_layout(name, stream):
    preprocessor = SkeletonPreprocessor(layout=name, stream=stream).eval()
    stgcn = MODELS.build(dict(type='STGCN', layout=name, base_channels=2, out_channels=8)).eval()
    batch = {'inputs': clips(n=2, layout=name), 'labels': torch.zeros(2, dtype=torch.int64)}
    features = stgcn(preprocessor(batch, training=False)['inputs']['clip'])
    assert features.shape == (2, 2, 8, 4, get_layout(name).num_joints) and features.isfinite().all()


@pytest.mark.parametrize('name', SHIPPED)
@given(degrees=st.floats(-180, 180), tilt=st.floats(-60, 60))
def test_each_layout_is_brought_upright_facing_one_way_on_its_hip(name, degrees, tilt):
    layout = get_layout(name)
    a, b = np.radians([degrees, tilt])
    yaw = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    roll = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    body = standing(layout)
    seen = {'keypoint': (body @ (yaw @ roll).T)[None, None], 'layout': layout, 'name': 'c', 'total_frames': 1}
    steps = Pipeline({'centre': dict(type=Centre, joint='hip'), 'align': dict(type=AlignView, mode='body_first'),
                      'pack': dict(type=PackClip, num_persons=1)})  # fmt: skip
    turned = steps(seen)['inputs'][:, 0, :, 0].T
    np.testing.assert_allclose(turned, body - layout.locate(body, layout.hip), atol=1e-5)


@given(st.lists(st.integers(0, 16), min_size=1, max_size=5))
def test_the_values_of_several_joints_are_their_mean(joints):
    layout, keypoint = get_layout('coco17'), np.random.default_rng(0).random((2, 3, 17, 3))
    expected = sum(keypoint[:, :, j] for j in joints) / len(joints)
    np.testing.assert_allclose(layout.locate(keypoint, tuple(joints)), expected)
    np.testing.assert_array_equal(layout.locate(keypoint, joints[0]), keypoint[:, :, joints[0]])


def test_joints_are_found_by_name_role_and_number():
    layout = get_layout('ntu25')
    assert layout.joint('root') == layout.root == 20
    assert layout.joint('hip') == layout.joint('spine_base') == layout.joint(0) == 0
    with pytest.raises(ConfigError, match="no joint 'tail'"):
        layout.joint('tail')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(parents=(1, 0, *get_layout('kinect20').parents[2:])), 'one tree'),
        (dict(parts={'all': (0, 1)}), 'every joint exactly once'),
        (dict(hip=20), 'indices must lie in'),
        (dict(hip=(0, 20)), 'indices must lie in'),
        (dict(spine=(0, ())), 'indices must lie in'),
        (dict(joints=('hip',) * 20), 'same name'),
        (dict(mirror=((4, 8), (4, 9))), 'two mirror pairs'),
    ],
)
def test_inconsistent_layouts_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(get_layout('kinect20'), name='broken', **change)


def test_a_name_cannot_silently_change_its_meaning():
    other = dataclasses.replace(get_layout('kinect20'), name='ntu25')
    with pytest.raises(ConfigError, match='exists already'):
        register_layout(other)
    assert LAYOUTS['ntu25'].num_joints == 25


def test_an_unknown_layout_lists_all_names():
    with pytest.raises(ConfigError, match='coco17, florence15, h36m17, kard15, kinect20'):
        get_layout('ntu26')


def test_agcn_graph_sends_each_joint_its_parent_and_its_children():
    layout, A = get_layout('kinect20'), adjacency('kinect20', 'agcn')
    assert np.array_equal(A[0], np.eye(20))
    elbow, shoulder, wrist = (layout.joint(f'left_{name}') for name in ('elbow', 'shoulder', 'wrist'))
    assert A[1][shoulder, elbow] == 1 and A[2][wrist, elbow] == 1
    assert np.allclose(A[1].sum(axis=0), [j != layout.root for j in range(20)])


def test_spatial_graph_splits_one_normalised_matrix():
    A = adjacency('kinect20', 'spatial')
    assert np.allclose(A.sum(axis=(0, 1)), 1)
    assert ((A > 0).sum(axis=0) <= 1).all()


def test_unknown_graph_strategy():
    with pytest.raises(ConfigError, match=r"model\.backbone\.graph='star' .* agcn or spatial"):
        adjacency('ntu25', 'star')


def test_a_layout_is_defined_by_names_or_numbers_in_a_config():
    stick = get_layout(STICK)
    numbers = dict(
        STICK,
        parents=[0] * 5,
        mirror=[(1, 2), (3, 4)],
        parts={'trunk': [0], 'arms': [1, 2], 'legs': [3, 4]},
        hip=0,
        spine=(0, (1, 2)),
        shoulders=[1, 2],
    )
    assert get_layout('stick5') is stick and get_layout(numbers) == stick
    assert stick.spine == (0, (1, 2)) and stick.mirrored == (0, 2, 1, 4, 3)


def test_a_definition_outlives_json_and_the_toolboxs_own_go_by_name():
    stick = get_layout(STICK)
    stored = json.loads(json.dumps(describe_layout(stick)))
    del LAYOUTS['stick5']
    assert get_layout(stored) == stick and get_layout('stick5') == stick
    assert [describe_layout(get_layout(name)) for name in SHIPPED] == list(SHIPPED)
    other = dataclasses.replace(stick, name='ntu25')  # a user who replaces a layout of the toolbox
    assert describe_layout(other)['joints'] == stick.joints


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'parents': None}, "layout='stick5' has no valid definition"),
        ({'parents': ['pelvis'] * 4}, 'every joint needs one parent'),
        ({'parents': ['tail'] * 5}, "no joint 'tail'"),
        ({'mirror': [['left_hand']]}, "layout='stick5' has no valid definition"),
        ({'parts': ['pelvis']}, "layout='stick5' has no valid definition"),
        ({'hip': 0.5}, "layout='stick5' has no valid definition"),
        ({'bones': []}, "layout='stick5' has no valid definition: bones is not one of hip, joints"),
        ({'name': 'ntu25'}, "a layout named 'ntu25' exists already"),
    ],
)
def test_an_error_names_the_fault_of_a_definition(change, message):
    with pytest.raises(ConfigError, match=message):
        get_layout({**STICK, **change})
    with pytest.raises(ConfigError, match='hip is missing'):
        get_layout({key: value for key, value in STICK.items() if key != 'hip'})


JUNK = st.recursive(
    st.none() | st.integers(-2, 6) | st.text(max_size=3) | st.sampled_from(STICK['joints']),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(STICK.keys() - {'name'})), JUNK))
@pytest.mark.slow
def test_whatever_a_definition_holds_it_is_a_layout_or_refused(change):
    LAYOUTS.pop('stick5', None)
    try:
        layout = get_layout({**STICK, **change})
    except ConfigError:
        return
    assert len(layout.bones) == layout.num_joints - 1
