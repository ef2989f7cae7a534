"""Fusion by name: what it adds, and how weights are chosen."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.fusion import choose_weights, fuse, named_weights
from skeattn.evaluation.result import Scores
from tests.evaluation.streams import by_name, permuted, stream, top1

weight_lists = st.lists(st.integers(0, 8), min_size=1, max_size=5).filter(any)


@given(weight_lists, st.integers(0, 1000), st.sampled_from(['logits', 'softmax']))
def test_order_of_clips_and_of_streams_changes_nothing(weights, seed, kind):
    parts = [stream(seed + i) for i in range(len(weights))]
    fused = fuse(parts, weights, kind)
    shuffled = fuse([permuted(part, seed + i) for i, part in enumerate(parts)], weights, kind)
    backwards = fuse(parts[::-1], weights[::-1], kind)
    for other in (shuffled, backwards):
        assert top1(other) == top1(fused)
        assert dict(zip(other.names, other.labels.tolist(), strict=True)) == dict(
            zip(fused.names, fused.labels.tolist(), strict=True)
        )
        expected, scores = by_name(fused), by_name(other)
        assert scores.keys() == expected.keys()
        assert all(scores[name] == pytest.approx(expected[name], abs=1e-12) for name in expected)


@given(weight_lists, st.integers(0, 1000), st.sampled_from([1 / 1024, 0.5, 2, 4096]))
def test_the_scale_of_the_weights_changes_no_guess(weights, seed, scale):
    parts = [stream(seed + i) for i in range(len(weights))]
    fused, scaled = fuse(parts, weights), fuse(parts, [weight * scale for weight in weights])
    assert torch.equal(scaled.scores, fused.scores * scale)
    assert torch.equal(scaled.scores.argmax(dim=1), fused.scores.argmax(dim=1))


def test_one_stream_is_itself_and_the_sum_follows_the_definition():
    one, other = stream(0), stream(1)
    alone = fuse([one], [1])
    assert torch.equal(alone.scores, one.scores.double()) and alone.names == one.names
    assert torch.equal(fuse([one, other], [1, 0]).scores, one.scores.double())
    torch.testing.assert_close(fuse([one, other], [0.5, 2]).scores, (0.5 * one.scores + 2 * other.scores).double())
    soft = fuse([one, other], [1, 3], 'softmax').scores
    torch.testing.assert_close(soft.sum(dim=1), torch.full((30,), 4.0).double())
    assert torch.equal(fuse([one], [1], 'softmax').scores.argmax(dim=1), one.scores.argmax(dim=1))


def test_parts_that_do_not_belong_together_are_refused():
    one, files = stream(0, N=8), ['a.npz', 'b.npz']
    longer, relabelled = stream(1, N=9), stream(1, N=8)
    relabelled.labels[3] = 5
    twice = Scores(one.scores, one.labels, ['clip0', *one.names[:-1]])
    for other, message in (
        (longer, r'a\.npz and b\.npz hold different clips, 1 are in only one file: clip8'),
        (stream(1, N=8, prefix='x'), '16 are in only one file: clip0, clip1, clip2, …'),
        (stream(1, N=8, classes=4), r'a\.npz and b\.npz have 6 and 4 classes'),
        (relabelled, 'have different labels for 1 clips: clip3; evaluate all streams on the same packed set'),
        (twice, r'b\.npz holds 1 clips twice: clip0'),
    ):
        with pytest.raises(DataError, match=message):
            fuse([one, other], [1, 1], files=files)
        with pytest.raises(DataError, match=message):
            choose_weights([one, other], files=files)


@pytest.mark.parametrize('weights', [[1], [1, 2, 3], [-1, 2], [0, 0], [1, float('inf')], [float('nan'), 1]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ConfigError, match='weights'):
        fuse([stream(0), stream(1)], weights)


def test_an_unknown_kind_of_scores_is_refused():
    with pytest.raises(ConfigError, match=r"unknown scores='rank'; choose"):
        fuse([stream(0)], [1], 'rank')


@given(st.integers(1, 7), st.integers(0, 500), st.data())
@pytest.mark.slow
def test_chosen_weights_are_never_worse_than_the_best_stream_or_equal_weights(n, seed, data):
    strengths = data.draw(st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=n, max_size=n))
    parts = [stream(seed + i, N=12, strength=strength) for i, strength in enumerate(strengths)]
    weights = choose_weights(parts)
    assert sum(weights) == pytest.approx(1) and min(weights) >= 0
    assert weights == choose_weights(parts)
    best = max(map(top1, parts))
    assert top1(fuse(parts, weights)) >= max(best, top1(fuse(parts, [1 / n] * n)))


@pytest.mark.parametrize('n', [2, 3, 6])
def test_of_equally_good_weights_the_equal_ones_are_taken(n):
    assert choose_weights([stream(0)] * n) == pytest.approx([1 / n] * n)


@pytest.mark.parametrize('n', [3, 6])
def test_a_stream_that_misleads_gets_no_weight(n):
    good, bad = stream(0, strength=9), stream(1)
    bad.scores = -90 * good.scores
    weights = choose_weights([good] * (n - 1) + [bad])
    assert weights[-1] == 0 and top1(fuse([good] * (n - 1) + [bad], weights)) == 100


def test_many_streams_are_improved_one_at_a_time():
    parts = [stream(seed, N=60, strength=0.3 * seed) for seed in range(6)]
    best = max(top1(fuse(parts, [1] * 6)), *map(top1, parts))
    assert top1(fuse(parts, choose_weights(parts))) > best


def test_candidates_limit_the_choice():
    parts = [stream(0, strength=9), stream(1, strength=0)]
    assert choose_weights(parts, candidates=[[0.1, 9], [1, 0.5]]) == [1, 0.5]


def test_named_weights_go_by_stream():
    assert named_weights('aimclr', ['motion', 'joint', 'bone']) == [0.4, 0.6, 0.6]
    assert named_weights('equal', ['joint', 'anything']) == [1, 1]
    with pytest.raises(ConfigError, match='for joint, bone, motion, not for velocity'):
        named_weights('aimclr', ['joint', 'velocity'])
    with pytest.raises(ConfigError, match='for joint, bone, motion, and bone is missing; add its result'):
        named_weights('aimclr', ['motion', 'joint'])
    with pytest.raises(ConfigError, match="no weights 'best'; give numbers, or one of equal, aimclr"):
        named_weights('best', ['joint'])
