"""Layouts are consistent, and everything derived from them follows."""

import dataclasses

import numpy as np
import pytest

from skeattn.errors import ConfigError
from skeattn.graph import adjacency
from skeattn.skeletons import LAYOUTS, get_layout, register_layout


@pytest.mark.parametrize('name', ['ntu25', 'kinect20'])
def test_mirror_pairs_join_left_and_right_of_the_same_name(name):
    layout = get_layout(name)
    for left, right in layout.mirror:
        assert layout.joints[left].replace('left', 'right') == layout.joints[right]
    assert [layout.mirrored[j] for j in layout.mirrored] == list(range(layout.num_joints))


@pytest.mark.parametrize('name', ['ntu25', 'kinect20'])
def test_mirroring_keeps_the_bone_tree_and_the_parts(name):
    layout = get_layout(name)
    for joint, parent in layout.bones:
        assert layout.parents[layout.mirrored[joint]] == layout.mirrored[parent]
    assert sorted(layout.mirrored[j] for j in layout.parts['left_arm']) == sorted(layout.parts['right_arm'])
    assert sorted(layout.mirrored[j] for j in layout.parts['left_leg']) == sorted(layout.parts['right_leg'])


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
        (dict(hip=20), 'index lies in'),
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


def test_unknown_layout_lists_the_known():
    with pytest.raises(ConfigError, match='kinect20, ntu25'):
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
    with pytest.raises(ConfigError, match='agcn, spatial'):
        adjacency('ntu25', 'star')
