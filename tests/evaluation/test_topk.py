import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.errors import ConfigError
from skeattn.evaluation import Features, Scores
from skeattn.evaluation.topk import accuracy, confusion, per_class
from skeattn.registry import EVALUATORS
from tests.conftest import shared_path


def logits(x: torch.Tensor, labels: list[int]) -> Features:
    return Features(x, torch.tensor(labels), torch.full((len(x),), -1), [f'clip{i}' for i in range(len(x))])


BANK = logits(torch.zeros(0, 1), [])


def test_accuracy_equals_the_released_one() -> None:
    with np.load(shared_path('golden/ensemble_case.npz'), allow_pickle=False) as case:
        scores, labels = (torch.as_tensor(case[name]) for name in ('AimCLR/fused0', 'labels'))
        top1, top5 = float(case['AimCLR/top1'][0]), float(case['AimCLR/top5'])
    assert accuracy(scores, labels.long()) == pytest.approx(top1 if top1 > 1 else 100 * top1)
    assert accuracy(scores, labels.long(), 5) == pytest.approx(top5 if top5 > 1 else 100 * top5)


def test_clips_whose_label_is_first_and_among_the_first_five_are_counted() -> None:
    falling = torch.arange(7.0, 0, -1).expand(4, 7)  # class 0 first, class 6 last
    evaluate = EVALUATORS.build({'type': 'TopK'})
    assert evaluate(BANK, logits(falling, [0, 4, 5, 6])) == {'top1': 25.0, 'top5': 50.0}


def test_five_classes_or_fewer_have_no_top5() -> None:
    evaluate = EVALUATORS.build({'type': 'TopK'})
    assert evaluate(BANK, logits(torch.eye(5), [0, 1, 2, 3, 0])) == {'top1': 80.0}


@given(st.integers(1, 8), st.integers(2, 9), st.data())
def test_accuracy_follows_the_definition(N: int, classes: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, classes))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    scores, labels = rng.normal(size=(N, classes)), rng.integers(0, classes, N)
    ranks = [(row > row[label]).sum() for row, label in zip(scores, labels, strict=True)]
    expected = 100 * np.mean([rank < k for rank in ranks])
    assert accuracy(torch.as_tensor(scores), torch.as_tensor(labels), k) == pytest.approx(expected)


def test_of_equal_classes_the_lowest_is_guessed() -> None:
    assert accuracy(torch.zeros(2, 60), torch.tensor([0, 39])) == 50.0


def test_features_that_are_no_logits_of_all_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'3 columns, .* label 3; .*source="logits" and num_classes'):
        EVALUATORS.build({'type': 'TopK'})(BANK, logits(torch.zeros(2, 3), [0, 3]))


def test_confusion_counts_true_classes_by_row_and_guesses_by_column() -> None:
    scores = Scores(torch.eye(3)[[0, 1, 1, 2, 0]], torch.tensor([0, 0, 1, 0, 1]), list('abcde'))
    assert confusion(scores, ['x', 'y', 'z', 'unused']) == [[1, 1, 1, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]
    found = per_class(scores, ['x', 'y', 'z', 'unused'])
    assert found == {'x': pytest.approx(100 / 3), 'y': 50.0, 'z': None, 'unused': None}


def test_the_outcome_holds_the_logits_and_why_no_epoch_was_chosen() -> None:
    outcome = EVALUATORS.build({'type': 'TopK'}).evaluate(BANK, logits(torch.eye(5), [0, 1, 2, 3, 0]))
    assert torch.equal(outcome.test.scores, torch.eye(5)) and outcome.test.names[4] == 'clip4'
    assert outcome.notes.keys() == {'top1_best', 'top1_heldout'}
