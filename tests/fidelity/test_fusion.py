"""Fusion equals the released one, for every set of weights that the releases try."""

import pytest

from skeattn.evaluation.fusion import choose_weights, fuse, named_weights
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import Scores
from tests.fidelity.golden import Golden, assert_close

STREAMS = ('joint', 'bone', 'motion')


@pytest.fixture
def case():
    return Golden('ensemble_case')


@pytest.fixture
def parts(case):
    labels = case['labels'].long()
    return [Scores(case[f'score_{name}'], labels, [f'clip{i}' for i in range(len(labels))]) for name in STREAMS]


def percent(golden):
    """The releases print percent or shares."""
    return golden * 100 if golden.max() <= 1 else golden


@pytest.mark.parametrize(('method', 'sets'), [('AimCLR', 1), ('HiCLR', 2), ('SkeAttnCLR', 2)])
def test_fused_scores_guesses_and_accuracy_equal_the_release(case, parts, method, sets):
    weights = case[f'{method}/weights_joint_bone_motion']
    assert len(weights) == sets
    for i, row in enumerate(weights.tolist()):
        fused = fuse(parts, row)
        assert_close(fused.scores, case[f'{method}/fused{i}'], f'{method} {row}')
        assert fused.scores.argmax(dim=1).tolist() == case[f'{method}/pred{i}'].tolist()
        assert accuracy(fused.scores, fused.labels) == pytest.approx(percent(case[f'{method}/top1'])[i].item())
        # As probabilities the scores are others.
        assert (fuse(parts, row, 'softmax').scores - case[f'{method}/fused{i}']).abs().max() > 0.1


def test_the_named_weights_are_the_released_ones(case, parts):
    weights = named_weights('aimclr', STREAMS)
    assert weights == case['AimCLR/weights_joint_bone_motion'][0].tolist()
    fused = fuse(parts, weights)
    assert accuracy(fused.scores, fused.labels, 5) == pytest.approx(percent(case['AimCLR/top5']).item())


@pytest.mark.parametrize('method', ['HiCLR', 'SkeAttnCLR'])
def test_of_their_sets_the_releases_report_the_better_one_on_the_test_clips(case, parts, method):
    tried = case[f'{method}/weights_joint_bone_motion'].tolist()
    chosen = choose_weights(parts, candidates=tried)
    fused = fuse(parts, chosen)
    assert accuracy(fused.scores, fused.labels) == pytest.approx(percent(case[f'{method}/reported']).item())
    assert chosen == case[f'{method}/reported_weights'].tolist()
