"""Retrieval against scikit-learn's average precision and a count of one's own."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation import Features, Retrieval, retrieval
from tests.conftest import needs_gpu
from tests.evaluation.standins import blobs


def features(x: np.ndarray, labels: list[int], streams: int = 1) -> Features:
    names = [f'clip{i}' for i in range(len(x))]
    return Features(torch.as_tensor(x, dtype=torch.float32), torch.tensor(labels), torch.zeros(len(x)), names, streams)


def cosines(bank: Features, test: Features) -> np.ndarray:
    a, b = (np.asarray(f.x, dtype=np.float64) for f in (test, bank))
    return a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)


@given(st.integers(0, 2**16), st.integers(1, 5), st.integers(3, 12))
def test_map_is_the_mean_average_precision(seed: int, queries: int, N: int) -> None:
    metrics = pytest.importorskip('sklearn.metrics')
    rng = np.random.default_rng(seed)
    bank = features(rng.normal(size=(N, 4)), [*range(3), *rng.integers(0, 3, N - 3).tolist()])
    test = features(rng.normal(size=(queries, 4)), rng.integers(0, 3, queries).tolist())
    pairs = zip(cosines(bank, test), test.labels, strict=True)
    expected = [metrics.average_precision_score(np.asarray(bank.labels == label), row) for row, label in pairs]
    assert Retrieval()(bank, test)['mAP'] == pytest.approx(100 * np.mean(expected), abs=1e-3)


def test_recall_counts_the_queries_with_a_clip_of_their_class_among_the_nearest() -> None:
    """The ranking of the query (1, 0) is by angle; its class stands at places 2 and 4 of 4, AP (1/2 + 2/4) / 2."""
    bank = features(np.array([[1, 0.1], [3, 0.6], [1, 0.9], [1, 5.0]]), [1, 0, 1, 0])
    test = features(np.array([[2.0, 0.0]]), [0])
    assert Retrieval(recall=(1, 2, 9))(bank, test) == {'mAP': 50.0, 'r1': 0.0, 'r2': 100.0, 'r9': 100.0}


def test_chunks_bound_the_memory_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, test, held = blobs(30, seed=0, noise=2.0), blobs(11, seed=1, noise=2.0), []
    whole = Retrieval()(bank, test)
    rank = retrieval.rank
    monkeypatch.setattr(retrieval, 'BLOCK', 3 * len(bank) + 1)
    monkeypatch.setattr(retrieval, 'rank', lambda *args: held.append(args[0].numel()) or rank(*args))
    assert Retrieval()(bank, test) == pytest.approx(whole)
    assert max(held) == 3 * len(bank) <= retrieval.BLOCK and sum(held) == len(test) * len(bank)


def test_streams_count_equally_whatever_their_length() -> None:
    x = np.array([[100.0, 30.0, 0.0, 1.0], [100.0, 0.0, 1.0, 0.0]])
    query = np.array([[100.0, 0.0, 0.0, 1.0]])
    for streams, r1 in ((1, 0.0), (2, 100.0)):
        assert Retrieval((1,))(features(x, [0, 1], streams), features(query, [0], streams))['r1'] == r1


def test_a_class_that_cannot_be_found_is_named() -> None:
    bank, test = blobs(4, seed=0), blobs(2, seed=1, classes=4)
    with pytest.raises(DataError, match='no training clip has label 3 of test clip clip3; see dataset'):
        Retrieval()(bank, test)


@pytest.mark.parametrize('wrong', [(), (0, 1)])
def test_recall_at_nothing_is_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match='recall'):
        Retrieval(recall=wrong)


@needs_gpu
def test_a_gpu_gives_the_same_metrics() -> None:
    bank, test = blobs(30, seed=0, noise=2.0), blobs(11, seed=1, noise=2.0)
    assert Retrieval(device='cuda')(bank, test) == pytest.approx(Retrieval(device='cpu')(bank, test))
