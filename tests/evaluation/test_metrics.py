"""Accuracy, accuracy by class, confusion."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.evaluation import Scores
from skeattn.evaluation.metrics import accuracy, confusion, per_class
from tests.conftest import shared_path


def test_accuracy_equals_the_released_one() -> None:
    with np.load(shared_path('golden/ensemble_case.npz'), allow_pickle=False) as case:
        scores, labels = (torch.as_tensor(case[name]) for name in ('AimCLR/fused0', 'labels'))
        top1, top5 = float(case['AimCLR/top1'][0]), float(case['AimCLR/top5'])
    assert accuracy(scores, labels.long()) == pytest.approx(top1 if top1 > 1 else 100 * top1)
    assert accuracy(scores, labels.long(), 5) == pytest.approx(top5 if top5 > 1 else 100 * top5)


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


def test_confusion_counts_true_classes_by_row_and_guesses_by_column() -> None:
    scores = Scores(torch.eye(3)[[0, 1, 1, 2, 0]], torch.tensor([0, 0, 1, 0, 1]), list('abcde'))
    assert confusion(scores, ['x', 'y', 'z', 'unused']) == [[1, 1, 1, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]
    accuracies = per_class(scores, ['x', 'y', 'z', 'unused'])
    assert accuracies == {'x': pytest.approx(100 / 3), 'y': 50.0, 'z': None, 'unused': None}
