"""Several packed sets read as one: nothing of one set is taken for something of another."""

import numpy as np
import pytest
import torch

from skeattn.datasets import PackedSet, PackedWriter, SkeletonDataset, UnionSet, open_sets, split
from skeattn.datasets.cache import key_of
from skeattn.datasets.inspection import copied_names
from skeattn.datasets.subsets import labelled_clips
from skeattn.datasets.transforms import Pipeline
from skeattn.datasets.union import digest_of, folders_of, in_words, is_packed
from skeattn.errors import ConfigError, DataError
from skeattn.files import sha256
from tests.datasets.raw import SPLITS, clip, write_set

PIPELINE = {'resample': {'type': 'Resample', 'num_frames': 4}, 'pack': {'type': 'PackClip', 'num_persons': 2}}
LISTS = {'listed': {'field': 'side', 'train': [1], 'test': [0]}}


def write_other(out, layout='kinect20', joints=20, dims=3, missing=False):
    """Five clips of two classes, one named as in the toy set; subjects 0 and 1, cameras 1 and 2; clip 4 on no side."""
    channels = ('x', 'y', 'z')[:dims]
    with PackedWriter(out, 'other', layout, ['b', 'd'], LISTS, columns=['side'], channels=channels) as writer:
        for i in range(5):
            keypoint = clip(100 + i, 1, 5 + i, joints)[..., :dims]
            if missing and i == 2:
                keypoint[0, :, 3] = np.nan
            writer.add(f'c{i}', keypoint, label=i % 2, subject=i % 2, camera=1 + i % 2, side=(1, 0, 1, 0, -1)[i])
    return out


@pytest.fixture
def folders(tmp_path):
    return [write_set(tmp_path / 'toy'), write_other(tmp_path / 'other')]


def test_clips_classes_labels_and_subjects_of_the_sets_stay_apart(folders):
    union, (toy, other) = open_sets(folders), map(PackedSet.open, folders)
    assert isinstance(union, UnionSet) and len(union) == 11
    assert union.classes == ['toy/a', 'toy/b', 'toy/c', 'other/b', 'other/d']
    assert union.table['name'].tolist() == [f'toy/c{i}' for i in range(6)] + [f'other/c{i}' for i in range(5)]
    assert union.table['label'].tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 3, 4, 3]
    # Subjects 1..4 of the first set, then 0 and 1 of the second.
    assert union.table['subject'].tolist() == [1, 2, 3, 4, 1, 2, 5, 6, 5, 6, 5]
    assert union.table['camera'].tolist() == [-1] * 6 + [1, 2, 1, 2, 1]  # unknown stays unknown
    assert union.table['frames'].tolist() == [4, 5, 6, 7, 8, 9, 5, 6, 7, 8, 9]
    assert (union.layout, union.channels) == (toy.layout, toy.channels)
    for i in range(11):
        expected = toy.clip(i) if i < 6 else other.clip(i - 6)
        np.testing.assert_array_equal(union.clip(i), expected)


def test_unlabelled_clips_stay_unlabelled(tmp_path):
    with PackedWriter(tmp_path / 'more', 'more', 'kinect20', ['x'], SPLITS) as writer:
        writer.add('a', clip(50), label=-1, subject=1)
        writer.add('b', clip(51), label=0, subject=2)
    assert open_sets([write_set(tmp_path / 'toy'), tmp_path / 'more']).table['label'].tolist()[-2:] == [-1, 3]


def test_each_set_is_split_by_its_own_split(folders):
    union = open_sets(folders)
    train, test = split(union, ['xsub', 'listed'])
    assert train.tolist() == [0, 2, 4, 6, 8] and test.tolist() == [1, 3, 5, 7, 9]
    train, test = split(union, 'all')
    assert train.tolist() == list(range(11)) and not len(test)
    assert split(union, ['xsub', 'all'])[0].tolist() == [0, 2, 4, *range(6, 11)]


def test_a_list_of_one_set_is_that_set(folders):
    packed = open_sets(folders[:1])
    assert not isinstance(packed, UnionSet) and packed.classes == ['a', 'b', 'c']
    assert split(packed, ['xsub'])[0].tolist() == split(packed, 'xsub')[0].tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('xsub', "split='xsub' is not one of .*other: listed, all; with several sets give a list"),
        (['xsub', 'xsub'], "split='xsub' is not one of .*other"),
        (['xsub', 'listed', 'all'], r"split=\['xsub', 'listed', 'all'\] for .*toy \+ .*other; give one name"),
        ([], 'give one name for all sets, or one per set'),
    ],
)
def test_a_split_that_a_set_does_not_have_is_named_with_the_set(folders, name, message):
    with pytest.raises(ConfigError, match=message):
        split(open_sets(folders), name)


def test_sets_that_differ_are_refused_and_both_are_named(folders, tmp_path):
    write_other(tmp_path / 'ntu', 'ntu25', 25)
    several = [*folders, tmp_path / 'ntu']
    assert open_sets(several).layout is None and open_sets(several).layout_of(11).name == 'ntu25'
    write_other(tmp_path / 'flat', dims=2)
    with pytest.raises(ConfigError, match=r"ntu has skeletons of layout 'ntu25', .*toy of 'kinect20'"):
        SkeletonDataset(several, ['xsub', 'listed', 'listed'], 'train', PIPELINE)
    with pytest.raises(ConfigError, match=r"flat has channels \['x', 'y'\], .*toy \['x', 'y', 'z'\]"):
        open_sets([folders[0], tmp_path / 'flat'])
    with pytest.raises(ConfigError, match=r'lists .*toy twice'):
        open_sets([folders[0], folders[1], f'{tmp_path}/other/../toy'])
    with pytest.raises(ConfigError, match=r'dataset.data=\[\] lists no packed set'):
        open_sets([])
    with pytest.raises(ConfigError, match=r'is one folder; several sets are a list with brackets, .*toy.*other'):
        open_sets(f'{folders[0]},{folders[1]}')
    with pytest.raises(DataError, match=r'no packed set at .*gone'):
        open_sets([folders[0], tmp_path / 'gone'])


def test_folders_of_equal_name_are_told_apart_by_their_paths(tmp_path):
    paths = [write_set(tmp_path / name / 'set', clips=4) for name in ('one', 'two')]
    union = open_sets(paths)
    assert len({*union.table['name']}) == 8 and len({*union.classes}) == 6
    assert union.table['name'][4] == f'{tmp_path}/two/set/c0'


def test_a_dataset_of_the_union_is_the_datasets_of_the_sets_end_to_end(folders):
    of_each = [
        SkeletonDataset(folder, name, 'train', PIPELINE)
        for folder, name in zip(folders, ['xsub', 'listed'], strict=True)
    ]
    train = SkeletonDataset(folders, ['xsub', 'listed'], 'train', PIPELINE)
    assert torch.equal(train.clips, torch.cat([part.clips for part in of_each]))
    assert train.labels.tolist() == [*of_each[0].labels.tolist(), *(of_each[1].labels + 3).tolist()]
    assert train.names.tolist() == ['toy/c0', 'toy/c2', 'toy/c4', 'other/c0', 'other/c2']
    assert train.classes == open_sets(folders).classes and train.missing is None
    assert {*train.subjects[:3]}.isdisjoint(train.subjects[3:])


def test_missing_joints_of_one_set_are_marked(tmp_path):
    folders = [write_set(tmp_path / 'toy'), write_other(tmp_path / 'other', missing=True)]
    union = open_sets(folders)
    assert union.has_missing and np.flatnonzero(union.missing_share()).tolist() == [8]
    with pytest.warns(UserWarning, match=r'toy\+other: .* missing after the pipeline'):
        train = SkeletonDataset(folders, ['xsub', 'listed'], 'train', PIPELINE)
    assert train.missing.any(dim=(1, 2, 3)).tolist() == [False] * 4 + [True]


def test_labelled_clips_are_those_that_each_set_has_alone(tmp_path):
    folders = [write_set(tmp_path / name, clips=24) for name in ('one', 'two')]
    subset = {'per_class': 2, 'seed': 1}
    one, two = (labelled_clips(PackedSet.open(folder), 'xsub', subset) for folder in folders)
    assert labelled_clips(open_sets(folders), 'xsub', subset).tolist() == [*one, *(two + 24)]
    assert [path.name for path in tmp_path.glob('*/subsets/*')] == ['xsub_2perclass_seed1.json'] * 2
    union = open_sets(folders)
    parts = [labelled_clips(union, 'xsub', {'heldout': 0.5, 'part': part}) for part in ('rest', 'heldout')]
    assert sorted(np.concatenate(parts).tolist()) == split(union, 'xsub')[0].tolist()
    assert {*union.table['subject'][parts[0]]}.isdisjoint(union.table['subject'][parts[1]])


def test_copies_within_each_set_are_known_by_the_names_of_the_union(tmp_path):
    folders = [tmp_path / 'one', tmp_path / 'two']
    for number, folder in enumerate(folders):
        with PackedWriter(folder, 'toy', 'kinect20', ['a'], SPLITS) as writer:
            for i, seed in enumerate((0, 1, number)):  # in each set the last clip equals another one
                writer.add(f'c{i}', clip(10 * number + seed), label=0, subject=1 + i % 2 if i < 2 else 2)
    # Set one: c2 (test) copies c0 (train). Set two: c2 copies c1, both test.
    union = open_sets(folders)
    assert union.copies() == [[0, 2], [4, 5]]
    assert copied_names(union, 'xsub') == {'one/c2'}
    assert copied_names(union, ['xsub', 'nowhere']) == frozenset()


def test_damage_in_either_set_is_found(folders):
    open_sets(folders).verify()
    file = folders[1] / 'frames.npy'
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r'other/frames.npy is damaged'):
        open_sets(folders).verify()


def test_the_identity_is_that_of_the_contents_in_their_order(folders, tmp_path):
    union = open_sets(folders)
    assert digest_of(folders[0]) == digest_of(folders[:1]) == sha256(folders[0] / 'manifest.json')
    assert digest_of(folders) == union.digest != digest_of(folders[::-1])
    identity, moved = union.digest, folders[0].rename(tmp_path / 'moved')
    assert open_sets([moved, folders[1]]).digest == identity
    assert is_packed([moved, folders[1]]) and is_packed(str(moved))
    assert not any(map(is_packed, (folders, [], None, 3, {'a': 1})))
    indices, steps = np.arange(2), Pipeline(PIPELINE)
    keys = {
        key_of(packed, indices, PIPELINE, steps)
        for packed in (open_sets([moved, folders[1]]), PackedSet.open(folders[1]))
    }
    assert len(keys) == 2 and None not in keys


def test_prepared_clips_of_the_union_are_kept_beside_the_first_set(folders, monkeypatch, tmp_path):
    monkeypatch.setattr('skeattn.datasets.skeleton_dataset.CLIPS_WORTH_CACHING', 1)
    monkeypatch.delenv('SKEATTN_CACHE', raising=False)
    first, again = (SkeletonDataset(folders, ['xsub', 'listed'], 'train', PIPELINE) for _ in range(2))
    assert torch.equal(first.clips, again.clips)
    assert len([*(tmp_path / 'toy+other' / '.cache').glob('*.npy')]) == 1


def test_data_and_split_in_words():
    assert in_words(['data/a', 'data/b']) == 'data/a + data/b' and in_words('xsub') == 'xsub'
    assert [str(folder) for folder in folders_of(['a', 'b'])] == ['a', 'b'] and [*map(str, folders_of('a'))] == ['a']
