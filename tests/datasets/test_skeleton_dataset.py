"""One split, materialised once, handed out in whole batches."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from skeattn.datasets import PackedWriter, SkeletonDataset, take_whole_batch
from skeattn.datasets.packed import FRAMES
from skeattn.datasets.transforms.pipeline import Clip
from skeattn.errors import ConfigError, DataError
from skeattn.registry import DATASETS, TRANSFORMS
from skeattn.renaming import note_renamed
from tests.datasets.raw import clip, write_set

PLAIN = {'resample': {'type': 'Resample', 'num_frames': 4}, 'pack': {'type': 'PackClip', 'num_persons': 2}}


@TRANSFORMS.register_module()
class _MakeNaN:
    def __call__(self, results: Clip) -> Clip:
        return {**results, 'keypoint': results['keypoint'] * np.nan}


@pytest.fixture
def data(tmp_path):
    return write_set(tmp_path / 'toy')


def test_a_split_holds_its_clips_labels_names_and_subjects(data):
    train = DATASETS.build({'type': 'SkeletonDataset', 'data': str(data), 'split': 'xsub', 'pipeline': PLAIN})
    assert train.clips.shape == (3, 3, 4, 20, 2) and train.clips.dtype == torch.float32
    np.testing.assert_array_equal(train.clips[0, ..., 0].numpy(), clip(0).transpose(0, 3, 1, 2)[0])
    assert not train.clips[..., 1].any()  # c0, c2, c4 have one person
    assert train.labels.tolist() == [0, 2, 1]
    assert train.names.tolist() == ['c0', 'c2', 'c4']
    assert train.subjects.tolist() == [1, 3, 1]
    assert train.classes == ['a', 'b', 'c']
    assert train.layout.name == 'kinect20'
    assert (train.part, len(train)) == ('train', 3)
    test = SkeletonDataset(data, 'xsub', 'test', PLAIN)
    assert test.names.tolist() == ['c1', 'c3', 'c5']
    assert test.clips[..., 1].any()


def test_the_split_and_the_part_arrive_under_their_old_names(data):
    """A hook's data set in a config was written ``dict(dataset, protocol='xsub', split='test')``."""
    with pytest.warns(FutureWarning):
        note_renamed.cache_clear()
        test = DATASETS.build(dict(type='SkeletonDataset', data=data, protocol='xsub', split='test', pipeline=PLAIN))
        assert SkeletonDataset(data, 'xsub', split='test', pipeline=PLAIN).part == 'test'
    assert (test.part, test.names.tolist()) == ('test', ['c1', 'c3', 'c5'])


def test_a_batch_is_taken_whole_in_the_order_asked_for(data):
    train = SkeletonDataset(data, 'xsub', 'train', PLAIN)
    loader = DataLoader(train, batch_sampler=[[2, 0], [1]], collate_fn=take_whole_batch)
    first, second = list(loader)
    assert first['index'].tolist() == [2, 0]
    assert first['labels'].tolist() == [1, 0] and first['labels'].dtype == torch.int64
    assert torch.equal(first['inputs'], train.clips[[2, 0]])
    assert second['inputs'].shape == (1, 3, 4, 20, 2)
    one = train[1]
    assert torch.equal(one['inputs'], train.clips[1]) and one['labels'] == 2 and one['index'] == 1


def test_a_batch_is_a_copy_so_that_nobody_changes_the_resident_clips(data):
    train = SkeletonDataset(data, 'xsub', 'train', PLAIN)
    before = train.clips.clone()
    train.__getitems__([0, 1])['inputs'].zero_()
    assert torch.equal(train.clips, before)


def test_nan_after_the_pipeline_names_the_sample(data):
    with pytest.raises(DataError, match='c0: NaN or infinite coordinate after the pipeline'):
        SkeletonDataset(data, 'xsub', 'train', {'nan': {'type': '_MakeNaN'}, 'pack': {'type': 'PackClip'}})


def test_a_layout_that_is_not_the_sets_names_both(data):
    assert SkeletonDataset(data, 'xsub', 'test', PLAIN, layout='kinect20').layout.name == 'kinect20'
    with pytest.raises(ConfigError, match=r"layout='ntu25', but .*toy holds skeletons of layout 'kinect20'"):
        SkeletonDataset(data, 'xsub', 'train', PLAIN, layout='ntu25')


def test_channels_that_are_not_the_models_are_refused_and_scores_reach_the_batch(tmp_path):
    splits = {'xsub': {'field': 'subject', 'train': [1]}}
    with PackedWriter(tmp_path / 'flat', 'toy', 'kinect20', ['a'], splits, channels=['x', 'y', 'score']) as writer:
        for i in range(2):
            writer.add(f'c{i}', clip(i), label=0, subject=1 + i)
    with pytest.raises(ConfigError, match=r"channels=\['x', 'y', 'z'\], but .* set channels=\['x', 'y', 'score'\]"):
        SkeletonDataset(tmp_path / 'flat', 'xsub', 'train', PLAIN)
    centred = {'centre': {'type': 'Centre', 'joint': 'hip'}, **PLAIN}
    train = SkeletonDataset(tmp_path / 'flat', 'xsub', 'train', centred, channels=['x', 'y', 'score'])
    assert train.channels == ('x', 'y', 'score')
    assert not train.clips[0, :2, :, 0].any()  # the hip is the origin
    np.testing.assert_array_equal(train.clips[0, 2, :, :, 0].numpy(), clip(0)[0, ..., 2])
    with pytest.raises(ConfigError, match='AlignView: c0 has 2 coordinates a joint, not 3; set align=None'):
        turned = {'align': {'type': 'AlignView'}, **PLAIN}
        SkeletonDataset(tmp_path / 'flat', 'xsub', 'train', turned, channels=['x', 'y', 'score'])


def test_a_flipped_byte_stops_the_split(data):
    content = bytearray((data / FRAMES).read_bytes())
    content[1000] ^= 1
    (data / FRAMES).write_bytes(content)
    with pytest.raises(DataError, match=f'{FRAMES} is damaged'):
        SkeletonDataset(data, 'xsub', 'train', PLAIN)


def test_clips_of_different_length_ask_for_a_resample_step(data):
    with pytest.raises(DataError, match=r'c2: shape \(3, 6, 20, 2\) .* a Resample or PadFrames step'):
        SkeletonDataset(data, 'xsub', 'train', {'pack': {'type': 'PackClip'}})


@pytest.mark.parametrize('pipeline', [None, {'resample': {'type': 'Resample'}}])
def test_a_pipeline_without_pack_is_a_config_error(data, pipeline):
    with pytest.raises(ConfigError, match='must end with a PackClip step'):
        SkeletonDataset(data, 'xsub', 'train', pipeline)


def test_a_missing_set_an_unknown_part_and_an_unknown_split_are_named(tmp_path, data):
    with pytest.raises(DataError, match=r'python tools/convert\.py nwucla SOURCE --out'):
        SkeletonDataset(tmp_path / 'nwucla', 'xview')
    with pytest.raises(ConfigError, match="part='val' is neither"):
        SkeletonDataset(data, 'xsub', 'val', PLAIN)
    with pytest.raises(ConfigError, match="split='xset'"):
        SkeletonDataset(data, 'xset', 'train', PLAIN)


def test_a_clip_without_person_0_is_named(tmp_path):
    with PackedWriter(
        tmp_path / 'toy', 'toy', 'kinect20', ['a'], {'xsub': {'field': 'subject', 'train': [1]}}
    ) as writer:
        writer.add('nobody', np.zeros((1, 4, 20, 3)), label=0, subject=1)
        writer.add('somebody', clip(), label=0, subject=2)
    with pytest.raises(DataError, match='nobody: person 0 is absent'):
        SkeletonDataset(tmp_path / 'toy', 'xsub', 'train', PLAIN)


@pytest.mark.parametrize(
    ('joint', 'mode', 'expected'),
    [('root', 'none', 54), ('root', 'yaw_frame', 56), ('hip', 'yaw_frame', 67), ('hip', 'body_first', 77.8)],
)
def test_nwucla_raw_nearest_neighbour_matches_the_known_floor(ucla, joint, mode, expected):
    pipeline = {
        'centre': {'type': 'Centre', 'joint': joint},
        'resample': {'type': 'Resample', 'num_frames': 50},
        'align': {'type': 'AlignView', 'mode': mode},
        'pack': {'type': 'PackClip', 'num_persons': 1},
    }
    train, test = (SkeletonDataset(ucla.path, 'xview', side, pipeline, 'kinect20') for side in ('train', 'test'))
    assert (len(train), len(test)) == (1020, 464)
    nearest = torch.cdist(test.clips.flatten(1), train.clips.flatten(1)).argmin(1)
    accuracy = (train.labels[nearest] == test.labels).float().mean().item() * 100
    assert abs(accuracy - expected) < 1.5
