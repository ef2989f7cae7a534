"""Missing joints in the training views: their marks move with them, and motions and bones that they enter are 0."""

import pytest
import torch

from skeattn.augment.functional import derive_stream
from skeattn.models.preprocessor import SkeletonPreprocessor
from tests.augment.clips import LAYOUT, clips

HAND, TIP, FRAME = 7, 21, 5


@pytest.fixture
def batch():
    x, missing = clips(), torch.zeros(clips()[:, 0].shape, dtype=torch.bool)
    missing[1, FRAME, HAND, 0] = True
    x[1, :, FRAME, HAND, 0] = x[1, :, FRAME, :, 0].mean(dim=1)  # where the pipeline puts it
    return {'inputs': x, 'missing': missing}


def prepared(batch, stream, view=None):
    preprocessor = SkeletonPreprocessor('ntu25', stream, {'query': view or {}})
    preprocessor.begin_iteration(0, 1)
    training = preprocessor(batch, training=True)['inputs']['query']
    return training.permute(0, 2, 3, 4, 1), preprocessor(batch)['inputs']['clip'].permute(0, 2, 3, 4, 1)


@pytest.mark.parametrize(
    ('stream', 'zero'),
    [
        ('joint', []),
        ('motion', [(FRAME - 1, HAND), (FRAME, HAND)]),
        ('bone', [(FRAME, HAND), (FRAME, TIP + 1)]),
    ],
)
def test_what_a_missing_joint_enters_is_zero_and_the_joint_itself_is_on_the_body(batch, stream, zero):
    """Kind F1: a motion to the joint's stand-in and back, a bone to it; a joint in the origin, far from the body."""
    expected = derive_stream(batch['inputs'], stream, LAYOUT)
    children = [j for j, parent in enumerate(LAYOUT.parents) if parent == HAND and j != HAND]
    zero = [(FRAME, HAND), *((FRAME, child) for child in children)] if stream == 'bone' else zero
    for frame, joint in zero:
        expected[1, :, frame, joint, 0] = 0
    for out in prepared(batch, stream):
        assert torch.equal(out, expected)


def test_marks_move_with_joints_frames_and_pasted_cells(batch):
    flipped, _ = prepared(batch, 'motion', {'flip': {'type': 'SpatialFlip', 'probability': 1}})
    mirrored = LAYOUT.mirrored[HAND]
    assert not flipped[1, :, FRAME, mirrored, 0].any() and flipped[1, :, FRAME, HAND, 0].any()
    reversed_, _ = prepared(batch, 'motion', {'flip': {'type': 'TemporalFlip', 'probability': 1}})
    last = batch['inputs'].shape[2] - 1 - FRAME
    zero = (reversed_ == 0).all(dim=1)[1, :-1, :, 0].nonzero().tolist()
    assert zero == [[last - 1, HAND], [last, HAND]]


@pytest.mark.parametrize('normalise', [True, False])
def test_a_blur_revives_no_missing_joint_and_moves_no_seen_one(normalise):
    rests = torch.ones(2, 3, 16, 25, 1)
    missing = torch.zeros(2, 16, 25, 1, dtype=torch.bool)
    missing[:, 5:9, 7] = True
    lost = {'inputs': rests * ~missing[:, None], 'missing': missing}
    blur = {'type': 'GaussianBlur', 'sigma': (2.0, 2.0), 'normalise': normalise, 'probability': 1.0}
    preprocessor = SkeletonPreprocessor('ntu25', views={'query': {'blur': blur}})
    outs = []
    for batch in ({'inputs': rests}, lost):
        preprocessor.begin_iteration(0, 0)
        outs.append(preprocessor(batch, training=True)['inputs']['query'])
    whole, out = outs
    torch.testing.assert_close(out, whole * ~missing.permute(0, 3, 1, 2)[:, :, None])


def test_a_missing_joint_moves_by_no_noise_and_a_mix_brings_its_partners_losses(batch):
    noisy, _ = prepared(batch, 'motion', {'noise': {'type': 'GaussianNoise', 'std': 1.0, 'probability': 1}})
    assert not noisy[1, :, FRAME, HAND, 0].any() and noisy[1, :, FRAME, HAND - 1, 0].any()
    lost = {**batch, 'missing': torch.ones_like(batch['missing'])}
    mixed, clip = prepared(lost, 'motion', {'mix': {'type': 'SkeleMix', 'unit_frames': 1, 'units': (1, 2)}})
    assert not mixed.any() and not clip.any()
