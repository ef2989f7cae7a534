"""Clips without a label are left out of what is evaluated."""

import copy
import pickle

import pytest
import torch

from skeattn.datasets import PackedWriter, SkeletonDataset
from skeattn.datasets.labelled import labelled_clips_of
from skeattn.errors import NoClipsError
from tests.datasets.raw import clip

PLAIN = {'pack': {'type': 'PackClip', 'num_persons': 1}}


def dataset(tmp_path, labels):
    with PackedWriter(tmp_path / 'set', 'toy', 'kinect20', ['a', 'b'], {}) as writer:
        for i, label in enumerate(labels):
            writer.add(f'c{i}', clip(i), label=label, subject=i)
    return SkeletonDataset(tmp_path / 'set', 'all', pipeline=PLAIN)


def test_a_set_with_all_labels_is_the_same_object(tmp_path):
    whole = dataset(tmp_path, [0, 1, 1])
    assert labelled_clips_of(whole) is whole


def test_the_others_are_gone_from_everything_that_is_read(tmp_path):
    whole = dataset(tmp_path, [0, -1, 1, -1, 1])
    for part in (labelled_clips_of(whole), copy.copy(labelled_clips_of(whole))):
        assert len(part) == 3 and part.labels.tolist() == [0, 1, 1]
        assert part.names.tolist() == ['c0', 'c2', 'c4'] and part.subjects.tolist() == [0, 2, 4]
        torch.testing.assert_close(part.clips, whole.clips[[0, 2, 4]])
        batch = part.__getitems__([2, 0])
        torch.testing.assert_close(batch['inputs'], whole.clips[[4, 0]])
        assert batch['labels'].tolist() == [1, 0] and part[1]['labels'] == 1
        assert part.classes == whole.classes and part.layout is whole.layout
    assert len(pickle.loads(pickle.dumps(labelled_clips_of(whole)))) == 3


def test_marks_of_missing_joints_follow_their_clips(tmp_path):
    whole = dataset(tmp_path, [0, -1, 1])
    assert labelled_clips_of(whole).missing is None
    whole.missing = torch.arange(3)[:, None, None, None].expand(whole.clips[:, 0].shape) == 2
    assert labelled_clips_of(whole).missing.flatten(1).all(1).tolist() == [False, True]


def test_a_set_without_any_label_has_nothing_to_evaluate(tmp_path):
    with pytest.raises(NoClipsError, match='none of the 2 training clips has a label, such as c0'):
        labelled_clips_of(dataset(tmp_path, [-1, -1]))
