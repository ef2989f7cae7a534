"""Splits by subject, camera and setup, and the subjects held out for choosing a model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, PackedWriter, SkeletonDataset, held_out_subjects, split
from skeattn.datasets.splits import NTU60_XSUB_SUBJECTS, NTU120_XSUB_SUBJECTS, SPLITS
from skeattn.errors import ConfigError, DataError
from tests.conftest import shared_path
from tests.datasets.raw import clip, write_set


def test_a_clip_trains_where_its_column_is_listed_and_tests_elsewhere(tmp_path):
    train, test = split(PackedSet.open(write_set(tmp_path / 'toy')), 'xsub')
    assert train.tolist() == [0, 2, 4]
    assert test.tolist() == [1, 3, 5]


def test_clips_that_neither_list_names_are_on_neither_side(tmp_path):
    splits = {'mine': {'field': 'fold', 'train': [1], 'test': [0]}}
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', ['a'], splits, columns=['fold']) as writer:
        for i, fold in enumerate([0, 1, -1, 1]):
            writer.add(f'c{i}', clip(i), label=0, fold=fold)
    train, test = split(PackedSet.open(tmp_path / 'toy'), 'mine')
    assert (train.tolist(), test.tolist()) == ([1, 3], [0])


def test_an_unknown_split_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"split='xset' is not one of .*toy: xsub, xview, all"):
        split(PackedSet.open(write_set(tmp_path / 'toy')), 'xset')


def test_a_part_in_place_of_the_split_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"split='test' is not one of .*; the training or test .* part='test'"):
        split(PackedSet.open(write_set(tmp_path / 'toy')), 'test')


def test_a_split_without_training_clips_is_an_error(tmp_path):
    splits = {'xview': {'field': 'camera', 'train': [9]}}
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', ['a'], splits) as writer:
        writer.add('c', clip(), label=0)
    with pytest.raises(DataError, match=r"split 'xview' \(by camera\) leaves no training clips"):
        split(PackedSet.open(tmp_path / 'toy'), 'xview')


def test_a_set_without_labels_or_a_test_side_can_be_pre_trained_on(tmp_path):
    """Evaluation's needs are not imposed on pre-training: unlabelled clips, no test part, the split of all clips."""
    splits = {'mine': {'field': 'camera', 'train': [-1]}}
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', [], splits) as writer:
        for i in range(3):
            writer.add(f'c{i}', clip(i), label=-1)
    packed = PackedSet.open(tmp_path / 'toy')
    for name in ('mine', 'all'):
        train, test = split(packed, name)
        assert (train.tolist(), test.tolist()) == ([0, 1, 2], [])
        pipeline = {'resample': dict(type='Resample', num_frames=8), 'pack': dict(type='PackClip', num_persons=1)}
        dataset = SkeletonDataset(packed.path, name, pipeline=pipeline)
        assert len(dataset) == 3 and dataset.labels.tolist() == [-1] * 3
        with pytest.raises(DataError, match=f"split '{name}' leaves no test clips: it can be used for training alone"):
            SkeletonDataset(packed.path, name, 'test', pipeline=pipeline)


def test_every_set_has_the_split_of_all_clips(tmp_path):
    train, test = split(PackedSet.open(write_set(tmp_path / 'toy')), 'all')
    assert train.tolist() == [0, 1, 2, 3, 4, 5] and not len(test)


def test_ntu_lists_equal_the_released_ones():
    golden = np.load(shared_path('golden/preprocess_case.npz'))
    assert list(NTU60_XSUB_SUBJECTS) == golden['ntu60_training_subjects'].tolist()
    assert list(NTU120_XSUB_SUBJECTS) == golden['ntu120_training_subjects'].tolist()
    assert list(SPLITS['ntu60']['xview']['train']) == golden['training_cameras'].tolist()


def test_ntu120_cross_setup_trains_on_the_sixteen_even_setups():
    assert SPLITS['ntu120']['xset'] == {
        'field': 'setup',
        'train': (2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32),
    }
    assert SPLITS['ntu120']['camera'] == {'field': 'camera', 'train': (2, 3)}


def test_held_out_subjects_are_whole_spread_and_about_a_fifth():
    subjects = np.repeat(np.arange(1, 11), 3)
    assert np.unique(subjects[held_out_subjects(subjects)]).tolist() == [3, 8]
    assert np.unique(subjects[held_out_subjects(subjects, 0.3)]).tolist() == [2, 6, 9]
    assert held_out_subjects(np.array([4, 9, 4])).tolist() == [False, True, False]


@given(st.lists(st.integers(-1, 30), min_size=2, max_size=60), st.floats(0, 1))
def test_held_out_subjects_share_nobody_with_the_rest_and_ignore_the_order(subjects, fraction):
    subjects = np.array(subjects)
    if len(np.unique(subjects)) < 2:
        with pytest.raises(DataError, match='at least two'):
            held_out_subjects(subjects, fraction)
        return
    held = held_out_subjects(subjects, fraction)
    assert set(subjects[held]) and set(subjects[~held])
    assert not set(subjects[held]) & set(subjects[~held])
    np.testing.assert_array_equal(held_out_subjects(subjects[::-1], fraction)[::-1], held)
