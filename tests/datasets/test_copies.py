"""Copies are found by content: the same recording twice, on both sides of a split or under two labels."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, PackedWriter, split
from skeattn.datasets.copies import CopyFinder, canonical, trunk_length
from skeattn.datasets.inspection import copied, copy_findings
from skeattn.datasets.packed import COPIES
from skeattn.skeletons import get_layout
from tests.datasets.raw import clip

LAYOUT = get_layout('kinect20')


def groups(clips):
    finder = CopyFinder(LAYOUT)
    for one in clips:
        finder.add(one)
    return finder.groups(clips.__getitem__)


def padded(keypoint, before=2, after=3, persons=1):
    return np.pad(keypoint, ((0, persons), (before, after), (0, 0), (0, 0)))


def gap(keypoint):
    """An empty frame within."""
    return np.insert(keypoint, 2, 0, axis=1)


@pytest.mark.parametrize(
    'change',
    [
        lambda keypoint: keypoint.copy(),
        padded,
        gap,
        lambda keypoint: keypoint[::-1],
        lambda keypoint: keypoint.astype(np.float16).astype(np.float32),
        lambda keypoint: keypoint.round(3),
        lambda keypoint: padded(keypoint.round(3))[::-1],
        lambda keypoint: np.where(padded(keypoint) == 0, np.nan, padded(keypoint)),
        lambda keypoint: np.where(padded(keypoint) == 0, np.float32(-0.0), padded(keypoint)),
    ],
    ids=['exact', 'padded', 'empty frame', 'persons swapped', 'float16', 'mm', 'all of it', 'nan', 'minus zero'],
)
def test_a_changed_container_holds_the_same_recording(change):
    """Duplicates by content: padding, order of persons and rounding do not make a different recording."""
    clips = [clip(i, 2, 6) for i in range(5)]
    assert groups([*clips, change(clips[3])]) == [[3, 5]]


@pytest.mark.parametrize(
    'change',
    [
        lambda keypoint: keypoint + np.float32(0.02),
        lambda keypoint: keypoint[:, ::-1],
        lambda keypoint: keypoint[:, 1:],
        lambda keypoint: keypoint[:1],
        lambda keypoint: keypoint[..., ::-1],
    ],
    ids=['elsewhere', 'backwards', 'shorter', 'one person', 'other axes'],
)
def test_other_recordings_are_none(change):
    clips = [clip(i, 2, 6) for i in range(5)]
    assert groups([*clips, change(clips[3])]) == []


@given(st.lists(st.integers(0, 6), max_size=14), st.floats(1e-3, 1e3), st.integers(0, 99))
def test_groups_are_those_of_the_recordings(recordings, unit, seed):
    """Any set in any unit: clips are in one group exactly where they come from one recording."""
    rng = np.random.default_rng(seed)
    clips = []
    for recording in recordings:
        one = clip(recording, frames=4) * np.float32(unit)
        noise = rng.uniform(-1, 1, one.shape) * 0.002 * trunk_length(one, LAYOUT)
        clips.append(one + noise.astype(np.float32))
    expected = [[i for i, other in enumerate(recordings) if other == r] for r in dict.fromkeys(recordings)]
    assert groups(clips) == [group for group in expected if len(group) > 1]


def test_clips_without_anybody_equal_nobody():
    assert groups([np.zeros((1, 4, 20, 3), np.float32)] * 2) == []
    assert canonical(np.zeros((2, 4, 20, 3), np.float32)).shape == (0, 0, 20, 3)


@pytest.fixture
def packed(tmp_path) -> PackedSet:
    """Training c0 c1 c2 c3, test c4 c5 c6 c7; c4 is c0, c5 is c1 under a different label, c3 is c2, c7 is c6."""
    splits = {'xsub': {'field': 'subject', 'train': [1]}, 'xview': {'field': 'camera', 'train': [1]}}
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', ['a', 'b'], splits) as writer:
        for i, (recording, label) in enumerate([(0, 0), (1, 0), (2, 1), (2, 1), (0, 0), (1, 1), (6, 1), (6, 1)]):
            writer.add(f'c{i}', clip(recording), label=label, subject=1 + i // 4)
    return PackedSet.open(tmp_path / 'toy')


def test_a_conversion_lists_them_beside_the_set(packed):
    stored = json.loads((packed.path / COPIES).read_text())
    assert stored['groups'] == [['c0', 'c4'], ['c1', 'c5'], ['c2', 'c3'], ['c6', 'c7']]
    assert packed.copies() == packed.copies(again=True) == [[0, 4], [1, 5], [2, 3], [6, 7]]


@pytest.mark.parametrize('content', [None, '{', '{}', '{"sha256": {}, "groups": []}', 'forged'])
def test_a_missing_or_foreign_list_is_made_again(packed, content):
    """Sets that were converted before lists existed, and lists that were changed by hand."""
    stored = json.loads((packed.path / COPIES).read_text())
    (packed.path / COPIES).unlink()
    if content:
        text = json.dumps({**stored, 'groups': [['gone', 'c0']]}) if content == 'forged' else content
        (packed.path / COPIES).write_text(text)
    assert packed.copies() == [[0, 4], [1, 5], [2, 3], [6, 7]]
    assert json.loads((packed.path / COPIES).read_text()) == stored


def test_what_they_affect_is_one_line_each(packed):
    train, test = split(packed, 'xsub')
    assert copied(test, train, packed.copies()).tolist() == [True, True, False, False]
    cross, ambiguous, rest = map(str, copy_findings(packed, packed.copies()))
    assert cross == (
        "c4: copy: equals the training clip c0; 2 of 4 test clips of split 'xsub' equal a training clip (1 of 1 'a', "
        "1 of 3 'b'); skeattn test also reports results without them"
    )
    assert ambiguous == (
        "c1: label: 'a', but its copy c5 is 'b'; 1 recordings have several labels: remove the wrong ones from the "
        'source'
    )
    assert rest == 'c2: copy: equals c3; 2 recordings occur several times, each under one label'


@pytest.mark.slow
def test_nwucla_has_95_test_clips_that_equal_training_clips(ucla):
    """Copies across a split: camera 3 of two classes holds the files of camera 2."""
    train, test = split(ucla, 'xview')
    clips = test[copied(test, train, ucla.copies())]
    names = [ucla.classes[label] for label in ucla.table['label'][clips]]
    assert len(clips) == 95 and len(test) == 464
    assert (names.count('pick up with two hands'), names.count('drop trash')) == (50, 45)
    assert (ucla.table['label'][test] == 1).sum() == 50 and (ucla.table['label'][test] == 2).sum() == 45
    assert all(len(group) == 2 for group in ucla.copies()) and len(ucla.copies()) == 95


def test_utdmhad_has_none(mhad):
    assert mhad.copies() == []
