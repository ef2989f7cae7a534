"""Skeletons in 2-D, with and without scores: scores stay with their joints and are never transformed."""

import pytest
import torch

from skeattn.augment import Augment
from skeattn.augment.functional import derive_stream
from skeattn.datasets.native import at_full_length
from skeattn.engine.config import resolve_config
from skeattn.errors import ConfigError
from skeattn.models.preprocessor import SkeletonPreprocessor
from skeattn.registry import AUGMENTS, MODELS
from tests.augment.clips import LAYOUT, OPS, clips
from tests.engine.toy import toy_config

SCORED = ('x', 'y', 'score')
KEEPS_SCORES = {
    'CentreFirst',
    'Shear',
    'Rotate',
    'RandomRotation',
    'JointCorruption',
    'ScaleAxes',
    'LimbScale',
    'AxisMask',
    'GaussianNoise',
    'SkeleAdaIN',
}

WHOLE = {'type': 'CropResize', 'share': (1, 1), 'place': 'centre'}


def view(x, channels, stream='joint', **op):
    """One view of clips ``(N, C, T, V, M)`` under one operation, with the clips' axes."""
    views = {'query': {'op': {'probability': 1, **op}}} if op else {'query': {}}
    if op and AUGMENTS.get(op['type']).keeps_length:
        views = {'whole': views['query'], 'query': {'source': 'whole', 'all': WHOLE}}
    preprocessor = SkeletonPreprocessor('ntu25', stream, views, channels)
    preprocessor.begin_iteration(0, 1)
    return preprocessor(at_full_length({'inputs': x}), training=True)['inputs']['query'].permute(0, 2, 3, 4, 1)


def test_every_operation_declares_whether_it_receives_scores():
    ours = [op for op in Augment.__subclasses__() if op.__module__.startswith('skeattn.')]
    assert {op.__name__ for op in ours if op.coordinates_only} == KEEPS_SCORES


@pytest.mark.parametrize('name', sorted(OPS))
def test_scores_follow_their_joints_and_are_never_moved(name):
    x = clips()
    x[:, 2] = x[:, 1]  # a score that follows its joint stays equal to y
    out = view(x, SCORED, type=name, **OPS[name])
    expected = x[:, 2] if name in KEEPS_SCORES else out[:, 1]
    assert torch.equal(out[:, 2], expected)
    assert torch.equal(out[:, :2], x[:, :2]) == (name == 'TokenNoise')


@pytest.mark.parametrize('name', sorted(OPS))
@pytest.mark.parametrize('on', ['joint', 'stream'])
def test_a_score_changes_nothing_about_the_coordinates(name, on):
    if AUGMENTS.get(name).native and on == 'stream':
        pytest.skip('it starts from joints')
    x = clips()
    flat = view(x[:, :2], SCORED[:2], 'bone', type=name, on=on, **OPS[name])
    assert flat.shape[1] == 2
    if name != 'GaussianNoise':  # its noise is drawn over the clip's shape
        assert torch.equal(view(x, SCORED, 'bone', type=name, on=on, **OPS[name])[:, :2], flat)


FLAT = ['Shear', 'Rotate', 'RandomRotation', 'JointCorruption', 'ScaleAxes', 'LimbScale', 'SpatialFlip', 'AxisMask']


@pytest.mark.parametrize('name', FLAT)
def test_a_flat_skeleton_moves_as_one_in_the_plane_of_the_image(name):
    x = clips()
    x[:, 2] = 0
    solid, flat = view(x, 'xyz', type=name), view(x[:, :2], 'xy', type=name)
    if name == 'AxisMask':  # of two axes, not of three
        assert (flat.flatten(2).abs().sum(dim=2) == 0).sum(dim=1).eq(1).all()
    else:
        torch.testing.assert_close(flat, solid[:, :2])


@pytest.mark.parametrize('stream', ['joint', 'motion', 'bone'])
def test_streams_keep_scores(stream):
    x = clips()
    out = view(x, SCORED, stream)
    assert torch.equal(out[:, :2], derive_stream(x[:, :2], stream, LAYOUT))
    assert torch.equal(out[:, 2], x[:, 2])


def test_channels_without_coordinates_are_refused():
    with pytest.raises(ConfigError, match='name x, y or x, y, z first'):
        SkeletonPreprocessor('ntu25', channels=['score', 'x', 'y'])


@pytest.mark.parametrize('model', ['skeletonclr', 'crossclr'])
def test_a_config_defines_channels_once(tmp_path, model):
    cfg = toy_config(tmp_path, model, channels=['x', 'y'])
    cfg = resolve_config(cfg)
    assert cfg.dataset.channels == ['x', 'y'] and cfg.model.backbone.in_channels == 2
    assert MODELS.build(cfg.model).data_preprocessor.channels == ('x', 'y')
    with pytest.raises(ConfigError, match=r'channels gives 2, but model\.backbone\.in_channels=3'):
        resolve_config(toy_config(tmp_path, model, channels=['x', 'y'], model__backbone__in_channels=3))
