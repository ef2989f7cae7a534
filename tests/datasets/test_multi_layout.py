"""Sets of several layouts in one training: a batch has one layout, and every clip is the one of its own set."""

from collections import Counter

import pytest
import torch

from skeattn.datasets import GlobalBatchSampler, MultiLayoutDataset, SkeletonDataset, open_sets
from skeattn.datasets import sampler as module
from skeattn.datasets.labelled import labelled_clips_of
from skeattn.datasets.sampler import homogeneous
from skeattn.datasets.subsets import labelled_clips
from skeattn.errors import ConfigError, NoClipsError
from skeattn.evaluation.features import raw_features
from tests.engine.toy import write_set

PIPELINE = dict(
    centre=dict(type='Centre', joint='root', reference='frame'),
    resample=dict(type='Resample', num_frames=16),
    pack=dict(type='PackClip', num_persons=1),
)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """ntu25, kinect20, and ntu25 once more."""
    folder = tmp_path_factory.mktemp('layouts')
    sizes = {'first': ('ntu25', 9, 3), 'kinect': ('kinect20', 12, 2), 'second': ('ntu25', 8, 2)}
    return [write_set(folder / name, layout, clips, test) for name, (layout, clips, test) in sizes.items()]


@pytest.fixture(scope='module')
def both(folders):
    return {part: MultiLayoutDataset(folders, 'xsub', part, PIPELINE) for part in ('train', 'test')}


def test_each_clip_is_that_of_its_set_with_the_unions_facts(both, folders):
    union = open_sets(folders)
    of_name = dict(zip(union.table['name'].tolist(), range(len(union)), strict=True))
    for part, dataset in both.items():
        alone = {folder.name: SkeletonDataset(folder, 'xsub', part, PIPELINE) for folder in folders}
        assert len(dataset) == sum(map(len, alone.values())) and dataset.classes == union.classes
        for i, name in enumerate(dataset.names):
            batch, (folder, clip) = dataset.__getitems__([i]), name.split('/')
            row = alone[folder].names.tolist().index(clip)
            assert torch.equal(batch['inputs'][0], alone[folder].clips[row])
            assert batch['layout'] == alone[folder].layout.name and batch['index'].tolist() == [i]
            assert batch['labels'].item() == dataset.labels[i] == union.table['label'][of_name[name]]
            assert dataset.subjects[i] == union.table['subject'][of_name[name]]


@pytest.mark.parametrize('part', ['rest', 'heldout'])
def test_held_out_subjects_are_those_of_the_union(folders, part):
    """The choice over all sets is another than that over the sets of one layout."""
    dataset = MultiLayoutDataset(folders, 'xsub', 'train', PIPELINE, subset=dict(heldout=0.3, part=part))
    union = open_sets(folders)
    assert sorted(dataset.names) == sorted(
        union.table['name'][labelled_clips(union, 'xsub', dict(heldout=0.3, part=part))]
    )
    assert 0 < len(dataset) == sum(map(len, dataset.parts)) < 29
    alone = {folder.name: SkeletonDataset(folder, 'xsub', 'train', PIPELINE) for folder in folders}
    for i, name in enumerate(dataset.names):
        batch, (folder, clip) = dataset.__getitems__([i]), name.split('/')
        row = alone[folder].names.tolist().index(clip)
        assert torch.equal(batch['inputs'][0], alone[folder].clips[row])
        own = alone[folder].classes[alone[folder].labels[row]]
        assert union.classes[batch['labels'].item()] == f'{folder}/{own}'


def test_sets_of_one_layout_are_one_group(both):
    assert [part.layout.name for part in both['train'].parts] == ['ntu25', 'kinect20']
    assert both['train'].groups.tolist() == [0] * 17 + [1] * 12
    assert both['train'].metainfo['layout'] == ['ntu25', 'kinect20']


def test_a_batch_of_two_layouts_is_refused_and_can_be_divided(both):
    with pytest.raises(ConfigError, match='a batch holds clips of several skeleton layouts'):
        both['train'].__getitems__([0, 20])
    index = torch.tensor([20, 0, 28, 3])
    assert [part.tolist() for part in homogeneous(both['train'], index)] == [[0, 3], [20, 28]]
    assert homogeneous(range(9), index)[0] is index


def test_without_labels_the_groups_stay(both, folders):
    dataset = MultiLayoutDataset(folders, 'xsub', 'train', PIPELINE)
    dataset.labels[5] = -1
    labelled = labelled_clips_of(dataset)
    assert labelled.groups.tolist() == [0] * 16 + [1] * 12
    assert labelled.__getitems__([5])['index'].tolist() == [6]


def test_labelled_clips_are_those_of_each_set(folders):
    some = MultiLayoutDataset(folders, 'xsub', 'train', PIPELINE, subset=dict(per_class=1))
    assert Counter(name.split('/')[0] for name in some.names) == {'first': 3, 'second': 3, 'kinect': 3}


def test_one_layout_is_read_as_well_and_knows_its_clips(folders):
    one = MultiLayoutDataset(folders[1], 'xsub', 'train', PIPELINE)
    alone = SkeletonDataset(folders[1], 'xsub', 'train', PIPELINE)
    assert torch.equal(one.clips, alone.clips) and one.layout == alone.layout and one.classes == alone.classes
    assert torch.equal(raw_features(one).x, raw_features(alone).x)


def test_the_coordinates_of_several_layouts_are_no_features(both):
    with pytest.raises(ConfigError, match='layouts ntu25, kinect20 do not have one number of joints; evaluate one set'):
        raw_features(both['train'])


def test_an_ordinary_data_set_refuses_them_and_names_the_setting(folders):
    with pytest.raises(ConfigError, match=r"kinect has skeletons .*layout=\['ntu25', 'kinect20'\] in the config"):
        SkeletonDataset(folders, 'xsub', 'train', PIPELINE)


def test_a_split_without_test_clips_is_refused(folders):
    with pytest.raises(NoClipsError, match='leaves no test clips'):
        MultiLayoutDataset(folders, 'all', 'test', PIPELINE)


def epochs(patch, dataset, world=1, rank=0, epoch=0, B=4):
    patch.setattr(module, 'get_dist_info', lambda: (rank, world))
    sampler = GlobalBatchSampler(dataset, B, seed=3)
    sampler.set_epoch(epoch)
    order = torch.tensor(list(sampler))
    assert len(order) == len(sampler)
    return order.view(-1, B // world)


def test_every_batch_has_one_layout_and_groups_take_turns(monkeypatch, both):
    dataset = both['train']
    groups = dataset.groups[epochs(monkeypatch, dataset)]
    assert (groups == groups[:, :1]).all()
    assert Counter(groups[:, 0].tolist()) == {0: 4, 1: 3}  # of 17 and 12 clips
    assert groups[:, 0].tolist() != sorted(groups[:, 0].tolist())
    assert torch.equal(epochs(monkeypatch, dataset), epochs(monkeypatch, dataset))
    assert not torch.equal(epochs(monkeypatch, dataset), epochs(monkeypatch, dataset, epoch=1))


def test_slices_of_two_processes_are_the_batches_of_one(monkeypatch, both):
    alone = epochs(monkeypatch, both['train'])
    ranks = [epochs(monkeypatch, both['train'], 2, rank) for rank in range(2)]
    assert torch.equal(torch.cat(ranks, dim=1), alone)


def test_a_batch_larger_than_a_group_is_refused(both):
    with pytest.raises(ConfigError, match=r'batch_size=16 .*smallest part .*of one layout, of 12 clips'):
        GlobalBatchSampler(both['train'], 16)
