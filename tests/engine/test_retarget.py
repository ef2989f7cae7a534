"""Transfer: the target's clips under the model of the pre-training."""

import dataclasses

import numpy as np
import pytest
import torch

from skeattn.apis import build_splits, load_model
from skeattn.checkpoint import read_checkpoint
from skeattn.datasets import PackedSet, Pipeline
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.retarget import retarget, transfer_text
from skeattn.errors import ConfigError
from skeattn.evaluation import extract_features
from skeattn.skeletons import LAYOUTS, get_layout
from tests.conftest import ROOT
from tests.engine.targets import supervised, write_model, write_target
from tests.engine.toy import toy_runner, write_config, write_set


def test_data_are_the_targets_and_the_model_is_that_of_pre_training(tmp_path):
    cfg = read_config(write_config(tmp_path, 'skeletonclr'), {'stream': 'bone', 'num_classes': 3})
    before = cfg.pretty_text
    new = retarget(cfg, write_target(tmp_path))
    assert cfg.pretty_text == before
    assert (new.dataset.data, new.num_classes, new.stream) == (str(tmp_path / 'set_ntu25'), 4, 'bone')
    assert new.model == cfg.model and new.layout == 'ntu25'
    # Steps are the target's, in its order; the number of frames is that of pre-training.
    assert list(new.dataset.pipeline) == ['centre', 'resample', 'pack']
    assert new.dataset.pipeline.resample == dict(type='Resample', num_frames=16, length='all')
    assert retarget(cfg, write_target(tmp_path), num_frames=24).dataset.pipeline.resample.num_frames == 24
    resolved = resolve_config(new)
    assert resolved.train_dataloader.dataset.data == str(tmp_path / 'set_ntu25')
    train, _ = build_splits(resolved)
    assert train.clips.shape[2] == 16


def test_a_base_file_of_a_data_set_is_a_target(tmp_path):
    cfg = read_config(write_model(tmp_path, 'kinect20'))
    new = retarget(cfg, ROOT / 'configs/_base_/datasets/ntu60_xsub_raw.py')
    assert (new.dataset.data, new.num_classes) == ('data/ntu60', 60)
    assert list(new.dataset.pipeline) == ['to_layout', 'resample', 'pack']
    assert new.dataset.pipeline.resample == dict(type='PadFrames', num_frames=16)


def test_joints_of_another_layout_reach_the_model_by_name(tmp_path):
    """A model of kinect20 reads ntu25 clips like the same clips in kinect20's order."""
    ntu, kinect = get_layout('ntu25'), get_layout('kinect20')
    other = {'spine_base': 'hip_centre', 'spine_mid': 'spine', 'spine_upper': 'shoulder_centre'}
    order = [[other.get(name, name) for name in ntu.joints].index(joint) for joint in kinect.joints]
    cfg = read_config(write_model(tmp_path, 'kinect20'))
    target = write_target(tmp_path)
    new = resolve_config(retarget(cfg, target))
    train, _ = build_splits(new)
    assert train.layout == kinect and train.clips.shape[3] == 20
    packed = PackedSet.open(tmp_path / 'set_ntu25')
    steps = Pipeline(
        read_config(target).dataset.pipeline | {'resample': dict(type='Resample', num_frames=16, length='all')}
    )
    for row in (0, 5):
        (i,) = np.flatnonzero(packed.table['name'] == train.names[row])
        clip = {'keypoint': packed.clip(i)[:, :, order], 'layout': kinect, 'name': 'c', 'total_frames': 0}
        np.testing.assert_array_equal(train.clips[row], steps(clip)['inputs'])
    torch.manual_seed(0)
    assert extract_features(load_model(new), train).x.isfinite().all()


def test_a_layout_with_joints_that_the_clips_lack_is_refused(tmp_path):
    cfg = read_config(write_model(tmp_path, 'ntu25'))
    with pytest.raises(
        ConfigError, match="'ntu25' has joints that layout 'kinect20' lacks: neck, left_hand_tip, left_th"
    ):
        retarget(cfg, write_target(tmp_path, 'kinect20'))


def test_a_layout_of_ones_own_comes_along_from_the_set_of_the_pre_training(tmp_path):
    """The set of the pre-training defines the layout; the target has NTU's joints in a different order."""
    ntu = get_layout('ntu25')
    order = [*range(24, -1, -1)]
    place = {old: new for new, old in enumerate(order)}
    moved = dataclasses.replace(
        ntu,
        name='backwards',
        joints=tuple(ntu.joints[i] for i in order),
        parents=tuple(place[ntu.parents[i]] for i in order),
        mirror=tuple((place[left], place[right]) for left, right in ntu.mirror),
        parts={part: tuple(place[i] for i in members) for part, members in ntu.parts.items()},
        hip=place[ntu.hip],
        spine=tuple(place[i] for i in ntu.spine),
        shoulders=tuple(place[i] for i in ntu.shoulders),
    )
    LAYOUTS['backwards'] = moved
    write_set(tmp_path / 'own', 'backwards')
    del LAYOUTS['backwards']
    path = write_model(tmp_path, 'backwards')
    path.write_text(path.read_text().replace(str(tmp_path / 'gone'), str(tmp_path / 'own')))
    new = retarget(read_config(path), write_target(tmp_path))
    del LAYOUTS['backwards']  # only its written definition is left
    train, _ = build_splits(resolve_config(new))
    assert train.layout == moved
    # The same clips in either order.
    plain, _ = build_splits(resolve_config(retarget(read_config(write_config(tmp_path)), write_target(tmp_path))))
    np.testing.assert_array_equal(train.clips, plain.clips[:, :, :, order])


def test_other_channels_are_refused(tmp_path):
    cfg = read_config(write_model(tmp_path, 'ntu25'))
    with pytest.raises(ConfigError, match=r"channels=\['x', 'y', 'z'\] of the model, but .* channels=\['x', 'y'\]"):
        retarget(cfg, write_target(tmp_path, lines="channels = ['x', 'y']\n"))


def test_a_target_without_data_is_refused(tmp_path):
    (tmp_path / 'empty.py').write_text('num_classes = 3\n')
    with pytest.raises(ConfigError, match=r'empty\.py has no data set to evaluate on'):
        retarget(read_config(write_model(tmp_path, 'ntu25')), tmp_path / 'empty.py')


def test_the_encoder_of_a_classifier_is_kept_its_classes_are_not(tmp_path):
    cfg = supervised(tmp_path, classes=3)
    trained = load_model(cfg)
    torch.save({'state_dict': trained.state_dict()}, tmp_path / 'a.pth')
    new = resolve_config(retarget(cfg, write_target(tmp_path)))
    model = load_model(new, tmp_path / 'a.pth')
    train, _ = build_splits(new)
    assert torch.equal(extract_features(model, train).x, extract_features(trained, train).x)
    assert model.feature_sources() == ('backbone',) and new.evaluation.source == 'backbone'
    assert 'topk' not in new.get('test_evaluator', {})
    with pytest.raises(ConfigError, match=r'no classifier for these classes \(model.head=None\); it has .backbone.'):
        extract_features(model, train, source='logits')


def test_a_classifier_of_as_many_classes_is_kept(tmp_path):
    new = resolve_config(retarget(supervised(tmp_path, classes=4), write_target(tmp_path)))
    assert new.model.head.num_classes == 4 and new.evaluation.source == 'logits'


@pytest.mark.slow
def test_a_transfer_names_both_data_sets(tmp_path):
    runner = toy_runner(tmp_path, model='skeletonclr', max_iters=1, evaluation=dict(evaluators=None))
    runner.train()
    meta = read_checkpoint(runner.work_dir + '/epoch_1.pth')['meta']
    new = resolve_config(retarget(read_config(tmp_path / 'toy.py'), write_target(tmp_path)))
    ours, theirs = tmp_path / 'set', tmp_path / 'set_ntu25'
    assert transfer_text(meta, new) == f'pre-trained on {ours} xsub (ntu25), evaluated on {theirs} xsub (ntu25)'
    before = {'data': ours, 'protocol': 'xsub', 'layout': 'ntu25'}  # the old key in checkpoints
    assert transfer_text(before, new) == transfer_text(meta, new)
    assert transfer_text({}, new) == f'pre-trained on unknown data, evaluated on {theirs} xsub (ntu25)'
