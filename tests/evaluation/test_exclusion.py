"""Protocols without some test clips: metrics are those of the remaining clips, the bank stays whole."""

import pytest
import torch

from skeattn.evaluation.evaluator import Evaluator, run_evaluator
from skeattn.evaluation.exclusion import WithoutClips, without_clips
from skeattn.evaluation.features import Features
from skeattn.evaluation.knn import KNNEvaluator
from skeattn.evaluation.linear_probe import LinearProbe
from skeattn.evaluation.result import ProtocolResult, Scores


def features(count: int, seed: int) -> Features:
    generator = torch.Generator().manual_seed(seed)
    x, labels = torch.randn(count, 8, generator=generator), torch.arange(count) % 3
    return Features(x, labels, torch.arange(count) % 4, [f'{seed}_{i}' for i in range(count)])


@pytest.mark.parametrize('evaluator', [KNNEvaluator((1, 5)), LinearProbe(epochs=3, lr=0.1, batch_size=8)])
def test_a_metric_is_that_of_the_remaining_clips(evaluator: Evaluator) -> None:
    """Copies in the test part: what is learnt from the bank does not change, the copies are not counted."""
    bank, test = features(24, 0), features(12, 1)
    copies = {'1_2', '1_7', '0_3'}
    result = WithoutClips(evaluator, copies).evaluate(bank, test)
    rest = torch.tensor([i for i in range(12) if i not in (2, 7)])
    assert result.metrics == evaluator.evaluate(bank, test.select(rest)).metrics
    assert len(result.test) == 10
    # Scores of a clip do not depend on the others, so a finished result gives the same.
    whole = evaluator.evaluate(bank, test)
    torch.testing.assert_close(result.test.scores, whole.test.scores[rest])


def test_copies_recognised_by_heart_do_not_count() -> None:
    """Two test clips equal training clips: 100 % on them hides that the others are wrong."""
    bank = features(6, 0)
    test = Features(
        torch.cat([bank.x[:2], bank.x[2:4]]), torch.tensor([0, 1, 0, 1]), torch.full((4,), 9), ['a', 'b', 'c', 'd']
    )
    knn = KNNEvaluator((1,))
    assert knn.evaluate(bank, test).metrics['top1_k1'] == 50
    assert WithoutClips(knn, {'a', 'b'}).evaluate(bank, test).metrics['top1_k1'] == 0


def test_nothing_is_reported_of_nothing() -> None:
    bank, test = features(24, 0), features(4, 1)
    assert WithoutClips(KNNEvaluator((1,)), set(test.names)).evaluate(bank, test).metrics == {}
    assert without_clips(ProtocolResult({'top1': 1.0}), {'a'}).metrics == {}


def test_a_finished_training_has_the_accuracies_of_its_scores() -> None:
    scores = Scores(torch.eye(6), torch.tensor([0, 1, 2, 0, 0, 5]), list('abcdef'))
    result = ProtocolResult({'top1': 66.7, 'top1_best': 90.0, 'top5': 100.0}, scores)
    assert without_clips(result, {'d', 'a'}).metrics == {'top1': 75.0, 'top5': 100.0}


def test_it_shares_its_work_as_the_evaluator_does(monkeypatch) -> None:
    monkeypatch.setattr('skeattn.evaluation.evaluator.is_main_process', lambda: False)
    bank, test = features(24, 0), features(12, 1)
    assert run_evaluator(WithoutClips(LinearProbe(epochs=1), {'1_0'}), bank, test).metrics == {}
    assert run_evaluator(WithoutClips(KNNEvaluator((1,)), {'1_0'}), bank, test).metrics
