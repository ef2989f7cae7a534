"""One split, materialised once, handed out in whole batches."""

import json
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from skeattn.datasets import PackedSet, PackedWriter, SkeletonDataset, take_whole_batch
from skeattn.datasets.packed import CHECKSUM, FRAMES, MANIFEST
from skeattn.datasets.transforms.pipeline import Clip
from skeattn.errors import ConfigError, DataError
from skeattn.files import sha256
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


def test_a_step_after_which_nobody_is_there_is_named(data):
    with pytest.raises(
        DataError, match=r"c0: no person is present in any frame .* before the step 'pack' of the pipeline"
    ):
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
    with pytest.raises(ConfigError, match='AlignView: c0 has 2 coordinates per joint, not 3; set align=None'):
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
    with pytest.raises(DataError, match=r'skeattn convert nwucla SOURCE --out'):
        SkeletonDataset(tmp_path / 'nwucla', 'xview')
    with pytest.raises(ConfigError, match="part='val' is neither"):
        SkeletonDataset(data, 'xsub', 'val', PLAIN)
    with pytest.raises(ConfigError, match="split='xset'"):
        SkeletonDataset(data, 'xset', 'train', PLAIN)


def pack(folder, *keypoints, layout='kinect20', channels=None):
    """A set whose clips ``c0 ...`` train except the last."""
    splits = {'xsub': {'field': 'subject', 'train': [1]}}
    with PackedWriter(folder, 'toy', layout, ['a'], splits, channels=channels) as writer:
        for i, keypoint in enumerate(keypoints):
            writer.add(f'c{i}', keypoint, label=0, subject=2 if i + 1 == len(keypoints) else 1)
    return folder


def forge(folder, change):
    """Change the stored frames in place, hash included: what earlier versions and other programs may have written."""
    frames = np.load(folder / FRAMES)
    change(frames)
    np.save(folder / FRAMES, frames)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest['sha256'][FRAMES] = sha256(folder / FRAMES)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / CHECKSUM).unlink()


@pytest.mark.parametrize('stored', ['written', 'forged'])
@pytest.mark.parametrize('persons', [1, 2])
def test_an_empty_first_slot_is_not_the_first_person(tmp_path, stored, persons):
    """Kind F9 (somebody is there, person 0 is not): persons with data come first, in converter and pipeline alike."""
    second = clip(3, persons=2)
    empty = second.copy()
    empty[0] = 0
    folder = pack(tmp_path / 'toy', second if stored == 'forged' else empty, clip())
    if stored == 'forged':
        forge(folder, lambda frames: frames[:4].fill(0))
    else:
        np.testing.assert_array_equal(PackedSet.open(folder).clip(0)[0], second[1])
        assert not PackedSet.open(folder).clip(0)[1].any()
    pipeline = {**PLAIN, 'pack': {'type': 'PackClip', 'num_persons': persons}}
    expected = SkeletonDataset(pack(tmp_path / 'alone', second[1:], clip()), 'xsub', 'train', pipeline).clips
    assert expected.any() and torch.equal(SkeletonDataset(folder, 'xsub', 'train', pipeline).clips, expected)


def test_a_clip_in_which_nobody_is_ever_there_is_refused_by_name(tmp_path):
    """Kind F9: it was trained on as zeros, where no step read person 0."""
    folder = pack(tmp_path / 'toy', clip(), clip(1), clip(2))
    forge(folder, lambda frames: frames[4:8].fill(0))
    pad = {'pad': {'type': 'PadFrames', 'num_frames': 4}, 'pack': {'type': 'PackClip'}}
    for pipeline in (PLAIN, pad):
        with pytest.raises(DataError, match=r'c1: no person is present in any frame .* leave the clip out'):
            SkeletonDataset(folder, 'xsub', 'train', pipeline)


def test_what_remains_missing_is_marked_in_every_batch(tmp_path):
    lost = clip(persons=1, frames=4)
    lost[0, 2, 7] = np.nan
    folder = pack(tmp_path / 'toy', clip(1), lost, clip(2))
    pipeline = {'centre': {'type': 'Centre'}, 'pack': {'type': 'PackClip'}}
    with pytest.warns(UserWarning, match=r'toy: 0\.[0-9]+ % of the joints .* missing.*fill=dict\(type="FillGaps"'):
        data = SkeletonDataset(folder, 'xsub', 'train', pipeline)
    assert torch.isfinite(data.clips).all()
    batch = data.__getitems__([1, 0])
    assert batch['missing'].shape == (2, 4, 20, 2) and batch['missing'].nonzero().tolist() == [[0, 2, 7, 0]]
    assert not batch['inputs'][0, :, 2, 7, 0].any()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        filled = SkeletonDataset(folder, 'xsub', 'train', {'fill': {'type': 'FillGaps'}, **pipeline})
    assert 'missing' not in filled.__getitems__([0])
    assert 'missing' not in SkeletonDataset(pack(tmp_path / 'whole', clip(), clip()), 'xsub', 'train', pipeline)[0]


@pytest.mark.slow
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


@pytest.mark.parametrize(('packs', 'warns'), [(1, True), (2, False)])
def test_persons_whom_the_pipeline_leaves_out_are_counted(tmp_path, packs, warns):
    """Kind F13 (silent truncation): the pipeline packed fewer persons than a clip has, and no line said so."""
    empty = clip(3, persons=2)
    empty[1] = 0
    folder = pack(tmp_path / 'toy', clip(), clip(1, persons=2), clip(2, persons=2), empty)
    pipeline = {**PLAIN, 'pack': {'type': 'PackClip', 'num_persons': packs}}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        data = SkeletonDataset(folder, 'xsub', 'train', pipeline)
    lines = [str(warning.message) for warning in caught]
    assert len(lines) == warns
    if warns:
        assert (
            f'2 of {len(data)} train clips have more persons than the pipeline packs (1), and 2 persons are left out'
            in lines[0]
        )


def test_joints_that_a_step_loses_are_marked(data):
    """The set has no missing joint; the marks once depended on that alone."""
    steps = {'lose': {'type': 'LoseJoints', 'share': 0.3}, 'pack': PLAIN['pack']}
    steps = {'window': {'type': 'Window', 'num_frames': 4}, **steps}
    with pytest.warns(UserWarning, match='of the joints of the train clips are missing after the pipeline; fill them'):
        lost = SkeletonDataset(data, 'xsub', 'train', steps)
    whole = SkeletonDataset(data, 'xsub', 'train', {name: step for name, step in steps.items() if name != 'lose'})
    assert whole.missing is None and lost.clips.shape == whole.clips.shape
    assert 0.2 < lost.missing[..., 0].float().mean() < 0.4
    kept = ~lost.missing[:, None].expand_as(lost.clips)
    assert torch.equal(lost.clips[kept], whole.clips[kept]) and not torch.equal(lost.clips, whole.clips)
    assert torch.equal(lost.__getitems__([2, 0])['missing'], lost.missing[[2, 0]])
    fill = {'fill': {'type': 'FillGaps', 'after': 'lose'}}
    assert SkeletonDataset(data, 'xsub', 'train', {**steps, **fill}).missing is None
