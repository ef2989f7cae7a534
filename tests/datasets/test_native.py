"""Clips kept at their native length beside those of one length."""

import sys

import numpy as np
import pytest
import torch

from skeattn.datasets import PackedSet, PackedWriter, Pipeline, SkeletonDataset, cache, materialise, skeleton_dataset
from skeattn.datasets.labelled import labelled_clips_of
from skeattn.datasets.materialise import materialise_native, run
from skeattn.errors import DataError
from skeattn.registry import TRANSFORMS
from tests.datasets.raw import clip, write_set

PLAIN = {
    'centre': {'type': 'Centre', 'joint': 'hip', 'reference': 'first'},
    'resample': {'type': 'Resample', 'num_frames': 4},
    'pack': {'type': 'PackClip', 'num_persons': 2},
}
TRAIN = [0, 2, 4]


@TRANSFORMS.register_module()
class _Twice:
    def __call__(self, results):
        return {**results, 'keypoint': results['keypoint'].repeat(2, axis=1)}


@pytest.fixture
def data(tmp_path):
    return write_set(tmp_path / 'toy')


def native(data, part='train', pipeline=PLAIN, **options):
    return SkeletonDataset(data, 'xsub', part, pipeline, native=True, **options)


def expected(data, i, pipeline=PLAIN):
    """Clip ``i`` after a pipeline without the step ``resample``."""
    return torch.from_numpy(run(PackedSet.open(data), i, Pipeline({**pipeline, 'resample': None})))


def test_a_batch_holds_the_clips_at_their_own_length_padded_with_zeros(data):
    train = native(data)
    batch = train.__getitems__([2, 0])
    assert batch['frames'].tolist() == [8, 4] and batch['native'].shape == (2, 3, 8, 20, 2)
    assert torch.equal(batch['native'][0], expected(data, 4))
    assert torch.equal(batch['native'][1, :, :4], expected(data, 0)) and not batch['native'][1, :, 4:].any()
    assert torch.equal(train[1]['native'], expected(data, 2)) and train[1]['frames'] == 6
    plain = SkeletonDataset(data, 'xsub', 'train', PLAIN)
    assert plain.native is None and plain[0].keys() == {'inputs', 'labels', 'index'}
    assert all(torch.equal(batch[key], value) for key, value in plain.__getitems__([2, 0]).items())


def test_the_test_clips_are_never_kept_at_their_native_length(data):
    test = native(data, 'test')
    assert test.native is None and 'native' not in test[0]


def test_labelled_clips_bring_their_native_clips(tmp_path):
    with PackedWriter(tmp_path / 'set', 'toy', 'kinect20', ['a', 'b'], {}) as writer:
        for i, label in enumerate([0, -1, 1]):
            writer.add(f'c{i}', clip(i, frames=4 + i), label=label, subject=i)
    whole = SkeletonDataset(tmp_path / 'set', 'all', pipeline=PLAIN, native=True)
    part = labelled_clips_of(whole)
    assert len(part.native) == 2 and part.native.spans[:, 1].tolist() == [4, 6]
    batch = part.__getitems__([1])
    assert torch.equal(batch['native'][0], whole[2]['native']) and torch.equal(
        part.native.padded()['frames'][1:], batch['frames']
    )
    whole.native = None
    assert part.native is None


def test_the_length_of_the_resample_step_counts_and_padding_does_not(tmp_path):
    """Frames after person 0 has gone are no part of the clip under the released rule."""
    left = clip(1, frames=6)
    left[:, 4:] = 0
    with PackedWriter(tmp_path / 'set', 'toy', 'kinect20', ['a'], {}) as writer:
        writer.add('c0', left, label=0)
        writer.add('c1', clip(2, frames=5), label=0)

    def frames(**step):
        steps = {'resample': step, 'pack': {'type': 'PackClip'}}
        return SkeletonDataset(tmp_path / 'set', 'all', pipeline=steps, native=True).native.spans[:, 1].tolist()

    assert frames(type='Resample', num_frames=3) == [4, 5]
    assert frames(type='Resample', num_frames=3, length='all') == [6, 5]
    assert frames(type='PadFrames', num_frames=20) == frames(type='PadFrames', num_frames=2) == [6, 5]


def test_marks_of_missing_joints_are_kept_for_both_or_for_neither(tmp_path):
    lost = clip(0, frames=9)
    lost[0, 0, 7] = np.nan
    with PackedWriter(tmp_path / 'set', 'toy', 'kinect20', ['a'], {}) as writer:
        writer.add('c0', lost, label=0)
        writer.add('c1', clip(1, frames=3), label=0)
    steps = {'resample': {'type': 'Resample', 'num_frames': 3}, 'pack': {'type': 'PackClip', 'num_persons': 1}}
    with pytest.warns(UserWarning, match='missing'):
        train = SkeletonDataset(tmp_path / 'set', 'all', pipeline=steps, native=True)
    assert not train.missing.any()  # frames 1, 4, 7 are those of the resampled clip
    batch = train.__getitems__([0, 1])
    assert batch['native_missing'].nonzero().tolist() == [[0, 0, 7, 0]] and batch['missing'].shape == (2, 3, 20, 1)
    assert batch['native'].shape == (2, 3, 9, 20, 1)
    filled = SkeletonDataset(tmp_path / 'set', 'all', pipeline={'fill': {'type': 'FillGaps'}, **steps}, native=True)
    assert filled.__getitems__([0]).keys() == {'inputs', 'labels', 'index', 'native', 'frames'}


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere one process prepares the clips')
def test_they_are_the_same_for_any_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(materialise, 'CHUNK', 3)
    packed = PackedSet.open(write_set(tmp_path / 'toy', clips=20))
    steps, indices = Pipeline(PLAIN).native(), np.arange(1, 20)
    alone, many = (materialise_native(packed, indices, steps, jobs) for jobs in (1, 3))
    for one, other in zip(alone, many, strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()
    assert alone[1].tolist() == [[sum(range(5, 5 + i)), 5 + i] for i in range(19)]


def test_a_pipeline_that_adds_frames_is_refused_by_name(data):
    steps = {'twice': {'type': '_Twice'}, **PLAIN}
    with pytest.raises(DataError, match=r'c0: 8 frames .* at most its 4 stored frames'):
        native(data, pipeline=steps)


def test_the_cache_keeps_both_kinds_of_clips_apart(data, monkeypatch):
    monkeypatch.setattr(skeleton_dataset, 'CLIPS_WORTH_CACHING', 0)
    monkeypatch.setattr(cache, '_STARTED', float('inf'))
    builds = []

    def counted(*arguments):
        builds.append(1)
        return materialise_native(*arguments)

    monkeypatch.setattr(skeleton_dataset, 'materialise_native', counted)
    batches = [native(data, cache=kept).__getitems__([0, 1, 2]) for kept in (False, True, True)]
    assert len(builds) == 2 and len(list(data.glob('.cache/*.npy'))) == 3
    for key, value in batches[0].items():
        assert torch.equal(batches[1][key], value) and torch.equal(batches[2][key], value)
    SkeletonDataset(data, 'xsub', 'train', PLAIN)
    assert len(list(data.glob('.cache/*.npy'))) == 3
