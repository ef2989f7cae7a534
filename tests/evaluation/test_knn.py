import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import skeattn.evaluation.knn as knn
from skeattn.errors import ConfigError
from skeattn.evaluation import Features, KNNEvaluator, knn_scores
from skeattn.registry import EVALUATORS
from tests.conftest import needs_gpu, shared_path
from tests.evaluation.standins import blobs


def test_scores_equal_the_released_monitor() -> None:
    with np.load(shared_path('golden/knn_case.npz'), allow_pickle=False) as z:
        case = {name: z[name] for name in z.files}
    queries, bank, labels = (torch.as_tensor(case[name]) for name in ('features', 'bank', 'labels'))
    for k in (3, 10, 20):
        scores = knn_scores(queries, bank, labels.long(), k, float(case['temperature']), int(case['classes']))
        expected = case[f'k{k}/scores']
        assert np.abs(scores.numpy() - expected).max() <= 1e-9 * max(1, np.abs(expected).max())
        assert scores.argmax(1).tolist() == case[f'k{k}/pred_top1'].tolist()


def _slow_scores(queries, bank, labels, k, temperature, num_classes):
    """The definition, one number at a time."""
    scores = np.zeros((len(queries), num_classes))
    for i, q in enumerate(queries):
        sims = [float(q @ b / np.linalg.norm(q) / np.linalg.norm(b)) for b in bank]
        for j in sorted(range(len(bank)), key=lambda j: -sims[j])[:k]:
            scores[i, labels[j]] += np.exp(sims[j] / temperature)
    return scores


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_scores_follow_the_definition(data: st.DataObject) -> None:
    B, N, D, C = (data.draw(st.integers(low, high)) for low, high in ((1, 5), (1, 12), (2, 6), (1, 4)))
    k = data.draw(st.integers(1, N))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    queries, bank, labels = rng.normal(size=(B, D)), 5 * rng.normal(size=(N, D)), rng.integers(0, C, N)
    scores = knn_scores(*map(torch.as_tensor, (queries, bank, labels)), k, 0.1, C)
    np.testing.assert_allclose(scores.numpy(), _slow_scores(queries, bank, labels, k, 0.1, C), rtol=1e-6)


def test_chunks_do_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, test = blobs(20, seed=0), blobs(9, seed=1)
    whole = knn_scores(test.x, bank.x, bank.labels, 5)
    monkeypatch.setattr(knn, 'BLOCK', 2 * len(bank))  # two queries at a time
    torch.testing.assert_close(knn_scores(test.x, bank.x, bank.labels, 5), whole)


def test_chunks_bound_the_similarities_that_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """16,487 test against 40,091 training clips would be 2.6 GB at once; here a small version of that."""
    bank, test, held = blobs(67, seed=0, noise=2.0), blobs(28, seed=1, noise=2.0), []
    whole = knn.nearest_neighbours(test.x, bank.x, 9)
    monkeypatch.setattr(knn, 'BLOCK', 5 * len(bank) + 3)
    matmul = torch.Tensor.__matmul__

    def watched(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        product = matmul(a, b)
        held.append(product.numel())
        return product

    monkeypatch.setattr(torch.Tensor, '__matmul__', watched)
    chunked = knn.nearest_neighbours(test.x, bank.x, 9)
    assert max(held) == 5 * len(bank) <= knn.BLOCK and sum(held) == len(test) * len(bank)
    torch.testing.assert_close(chunked[0], whole[0])
    assert torch.equal(chunked[1], whole[1])


@pytest.mark.parametrize('k', [0, 13])
def test_k_outside_the_bank_is_refused(k: int) -> None:
    bank = blobs(4, seed=0)
    with pytest.raises(ConfigError, match=f'k={k} .*1 <= k <= 12'):
        knn_scores(bank.x, bank.x, bank.labels, k)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**16))
def test_the_similarity_of_several_streams_is_the_mean_of_their_cosines(streams: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, bank = rng.normal(size=(3, streams, width)), rng.normal(size=(6, streams, width))
    bank[:, 0] *= 100  # the length of a stream has no effect
    bank[0, 0] = 0  # a stream without direction is similar to none
    cosines = np.zeros((3, 6))
    for i, j, stream in np.ndindex(3, 6, streams):
        q, b = queries[i, stream], bank[j, stream]
        cosines[i, j] += q @ b / max(np.linalg.norm(q) * np.linalg.norm(b), 1e-12) / streams
    similarities, indices = knn.nearest_neighbours(
        *(torch.as_tensor(x.reshape(len(x), -1)) for x in (queries, bank)), 6, streams
    )
    np.testing.assert_allclose(similarities.numpy(), np.take_along_axis(cosines, indices.numpy(), 1), atol=1e-12)
    np.testing.assert_allclose(similarities.numpy(), -np.sort(-cosines, axis=1), atol=1e-12)


def test_one_stream_is_compared_as_a_whole_to_the_last_bit() -> None:
    bank, test = blobs(20, seed=0), blobs(9, seed=1)
    similarities = torch.nn.functional.normalize(test.x, dim=1) @ torch.nn.functional.normalize(bank.x, dim=1).T
    assert torch.equal(knn.nearest_neighbours(test.x, bank.x, 5)[0], similarities.topk(5, dim=1).values)


def test_evaluator_reads_how_many_streams_the_features_have() -> None:
    """As one vector the long first stream decides (class 1); as two the second has equal weight (class 0)."""
    x = torch.tensor([[100.0, 30.0, 0.0, 1.0], [100.0, 0.0, 1.0, 0.0]])
    test_x = torch.tensor([[100.0, 0.0, 0.0, 1.0]])
    unknown = torch.tensor([-1, -1])
    for streams, expected in ((1, 0.0), (2, 100.0)):
        bank = Features(x, torch.tensor([0, 1]), unknown, ['a', 'b'], streams)
        test = Features(test_x, torch.tensor([0]), unknown[:1], ['c'], streams)
        assert KNNEvaluator(k=(1,))(bank, test)['top1_k1'] == expected


def test_evaluator_counts_correct_votes_per_k() -> None:
    """One near clip of class 0, then two of class 1: K=1 predicts 0, K=3 predicts 1."""
    bank = Features(
        torch.tensor([[1.0, 0.02], [1.0, 0.05], [1.0, 0.06], [-1.0, 0.0]]),
        torch.tensor([0, 1, 1, 0]),
        torch.tensor([-1, -1, -1, -1]),
        list('abcd'),
    )
    test = Features(torch.tensor([[2.0, 0.0], [-3.0, 0.0]]), torch.tensor([0, 0]), torch.tensor([-1, -1]), list('ef'))
    assert KNNEvaluator(k=(1, 3))(bank, test) == {'top1_k1': 100.0, 'top1_k3': 50.0}


def test_held_out_subjects_choose_the_k_without_test_labels() -> None:
    bank, test = blobs(30, seed=0, noise=1.5), blobs(20, seed=1, noise=1.5)
    evaluate = EVALUATORS.build({'type': 'KNNEvaluator', 'k': (1, 5, 10)})
    metrics = evaluate(bank, test)
    best = max((1, 5, 10), key=lambda k: metrics[f'heldout_top1_k{k}'])
    assert metrics['top1_heldout'] == metrics[f'top1_k{best}']
    wrong = Features(test.x, (test.labels + 1) % 3, test.subjects, test.names)
    heldout = {key: value for key, value in metrics.items() if key.startswith('heldout')}
    assert heldout.items() <= evaluate(bank, wrong).items()


def test_a_bank_smaller_than_k_uses_all_of_it() -> None:
    bank, test = blobs(2, seed=0), blobs(5, seed=1)
    assert KNNEvaluator(k=(40,), heldout=0.2)(bank, test)['top1_k40'] == KNNEvaluator(k=(6,))(bank, test)['top1_k6']


@pytest.mark.parametrize('wrong', [{'k': ()}, {'k': (0, 1)}, {'temperature': 0.0}])
def test_settings_without_meaning_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        KNNEvaluator(**wrong)


def test_the_scores_are_those_of_the_k_that_held_out_subjects_choose() -> None:
    bank, test = blobs(30, seed=0, noise=1.5), blobs(20, seed=1, noise=1.5)
    result = KNNEvaluator(k=(1, 5, 10)).evaluate(bank, test)
    best = max((1, 5, 10), key=lambda k: result.metrics[f'heldout_top1_k{k}'])
    assert torch.equal(result.test.scores, knn_scores(test.x, bank.x, bank.labels, best))
    assert result.test.names == test.names
    correct = result.heldout.scores.argmax(1) == result.heldout.labels
    assert 100 * correct.double().mean().item() == result.metrics[f'heldout_top1_k{best}']
    assert set(result.heldout.names) < set(bank.names) and result.notes == {}
    assert result.facts == {'scores_of': f'K={best}, chosen on held-out training subjects'}


def test_unknown_subjects_leave_a_note_and_the_votes_of_the_first_k() -> None:
    bank, test = blobs(30, seed=0), blobs(20, seed=1)
    bank.subjects[:] = -1
    result = KNNEvaluator(k=(5, 1)).evaluate(bank, test)
    assert result.metrics.keys() == {'top1_k5', 'top1_k1'} and 'unknown' in result.notes['top1_heldout']
    assert result.heldout is None and result.facts == {'scores_of': 'K=5, the first'}
    assert torch.equal(result.test.scores, knn_scores(test.x, bank.x, bank.labels, 5))


@pytest.mark.parametrize('temperature', [1e-4, 0.005, 0.0113])
def test_a_low_temperature_is_the_nearest_neighbour_and_does_not_overflow(temperature: float) -> None:
    """Kind G3: exp without subtracting the row's maximum."""
    bank, test = blobs(40, 0, noise=0.3), blobs(20, 1, noise=0.3)
    for k in (1, 20):
        scores = knn_scores(test.x, bank.x, bank.labels, k, temperature)
        assert scores.isfinite().all()
    nearest = knn_scores(test.x, bank.x, bank.labels, 1)
    if temperature < 0.001:
        assert torch.equal(scores.argmax(1), nearest.argmax(1))
    slow = _slow_scores(test.x.double().numpy(), bank.x.double().numpy(), bank.labels.numpy(), 20, temperature * 2, 3)
    fast = knn_scores(test.x.double(), bank.x.double(), bank.labels, 20, temperature * 2)
    if np.isfinite(slow).all():
        assert fast.argmax(1).tolist() == slow.argmax(1).tolist()


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**16))
def test_of_equally_similar_clips_the_first_comes_first(N: int, B: int, values: int, seed: int) -> None:
    """Kind G6: unspecified order of ties."""
    rng = np.random.default_rng(seed)
    similarities = torch.as_tensor(rng.integers(0, values, size=(B, N)).astype(np.float32))
    for k in range(1, N + 1):
        found, indices = knn._nearest(similarities, k)
        expected = similarities.sort(dim=1, descending=True, stable=True)
        assert torch.equal(indices, expected.indices[:, :k]) and torch.equal(found, expected.values[:, :k])


@needs_gpu
def test_a_gpu_finds_the_same_neighbours() -> None:
    """Among them clips that occur twice, in the order of the bank; the results are on the CPU."""
    bank, test = blobs(60, seed=0, noise=2.0), blobs(28, seed=1, noise=2.0)
    x = torch.cat([bank.x, bank.x]).double()
    cpu, gpu = (knn.nearest_neighbours(test.x.double(), x, 9, 2, device=device) for device in ('cpu', 'cuda'))
    assert torch.equal(gpu[1], cpu[1])
    torch.testing.assert_close(gpu[0], cpu[0])
