"""The ridge probe against scikit-learn, and what must not change its result."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from skeattn.errors import ConfigError
from skeattn.evaluation import DiscriminantProbe, Features, RidgeProbe, ridge, scaling
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.probe import subject_folds
from skeattn.evaluation.ridge import equations
from tests.evaluation import published
from tests.evaluation.standins import blobs

each_set = pytest.mark.parametrize('real', [published.nwucla, published.utdmhad])


def solved(x: torch.Tensor, labels: torch.Tensor, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Our W (D, K) and b (K,) of features that are standardised within."""
    folds = torch.arange(len(x)) % 3
    _, problem = equations(x, labels, int(labels.max()) + 1, folds, scaling.scaling(x))
    planes = problem.solve([penalty])
    return planes.weights[0].double().numpy(), planes.bias[0].numpy()


def objective(x: np.ndarray, labels: np.ndarray, W: np.ndarray, b: np.ndarray, penalty: float) -> float:
    targets = 2.0 * np.eye(W.shape[1])[labels] - 1
    return float(((x @ W + b - targets) ** 2).sum(axis=1).mean() + penalty * (W**2).sum())


def check_against_scikit_learn(x: torch.Tensor, labels: torch.Tensor, penalty: float, tolerance: float) -> None:
    linear_model = pytest.importorskip('sklearn.linear_model')
    W, b = solved(x, labels, penalty)
    X, y = scaling.scaling(x)(x, torch.float64).numpy(), labels.numpy()
    oracle = linear_model.RidgeClassifier(alpha=len(x) * penalty).fit(X, y)
    theirs = objective(X, y, oracle.coef_.T, oracle.intercept_, penalty)
    assert objective(X, y, W, b, penalty) == pytest.approx(theirs, rel=tolerance)
    scores = oracle.decision_function(X)
    np.testing.assert_allclose(X @ W + b, scores, atol=100 * tolerance)


@pytest.mark.parametrize('penalty', [1.0, 0.01, 1e-4])
@pytest.mark.parametrize('dim', [5, 200])
def test_the_solution_is_that_of_scikit_learn_on_random_features(penalty: float, dim: int) -> None:
    bank = blobs(30, seed=1, classes=4, dim=dim)
    check_against_scikit_learn(bank.x * torch.logspace(-3, 3, dim) + 5, bank.labels, penalty, 1e-9)


@pytest.mark.slow
@each_set
@pytest.mark.parametrize('penalty', [1.0, 0.01])
def test_the_solution_is_that_of_scikit_learn_on_real_features(real: Callable, penalty: float) -> None:
    bank = real()[0]
    check_against_scikit_learn(bank.x, bank.labels, penalty, 1e-9)


@pytest.mark.parametrize('dim', [40, 200])
def test_blocks_panels_and_single_precision_change_nothing(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = blobs(30, seed=1, classes=4, dim=dim)
    monkeypatch.setattr(scaling, 'BLOCK', 130)
    monkeypatch.setattr(ridge, 'PANEL', 16)
    check_against_scikit_learn(bank.x + 5, bank.labels, 0.1, 1e-9)
    monkeypatch.setattr(ridge, 'SMALL', 0)
    check_against_scikit_learn(bank.x + 5, bank.labels, 0.1, 1e-5)


@pytest.mark.parametrize('dim', [6, 100])
def test_the_penalty_is_chosen_by_the_accuracy_on_held_out_subjects(dim: int) -> None:
    """Each fold is predicted by a fit that did not see it; scikit-learn makes the same choice."""
    linear_model = pytest.importorskip('sklearn.linear_model')
    bank, test = blobs(20, seed=1, noise=4.0, subjects=4, dim=dim), blobs(20, seed=2, noise=4.0, dim=dim)
    result, folds = RidgeProbe().evaluate(bank, test), subject_folds(bank.subjects, 5).numpy()
    X, y = scaling.scaling(bank.x)(bank.x, torch.float64).numpy(), bank.labels.numpy()
    scores = {}
    for penalty in RidgeProbe().penalties:
        scores[penalty] = np.zeros((len(X), 3))
        for fold in range(4):
            held, rest = folds == fold, folds != fold
            fit = linear_model.RidgeClassifier(alpha=rest.sum() * penalty).fit(X[rest], y[rest])
            scores[penalty][held] = fit.decision_function(X[held])
    accuracies = {penalty: accuracy(torch.from_numpy(part), bank.labels) for penalty, part in scores.items()}
    assert result.facts['heldout_accuracy'] == {f'{penalty:.3g}': value for penalty, value in accuracies.items()}
    assert len(set(accuracies.values())) > 1
    chosen = max(accuracies, key=accuracies.__getitem__)  # the first, strongest one of equals
    assert result.facts['penalty'] == chosen
    np.testing.assert_allclose(result.heldout.scores.numpy(), scores[chosen], atol=1e-5)


@pytest.mark.slow
@each_set
@pytest.mark.parametrize('probe', [RidgeProbe, DiscriminantProbe])
def test_rounding_of_real_features_moves_the_accuracy_by_at_most_three_tenths(real: Callable, probe: type) -> None:
    parts: tuple[Features, Features] = real()
    top1 = probe()(*parts)['top1']
    assert top1 > 40
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        disturbed = [replace(f, x=f.x * (1 + 1e-7 * torch.randn(f.x.shape, generator=generator))) for f in parts]
        assert abs(probe()(*disturbed)['top1'] - top1) <= 0.3


def test_the_result_is_the_same_bit_for_bit_and_leaves_the_features_alone() -> None:
    for dim in (8, 150):
        bank, test = blobs(20, seed=1, noise=3.0, dim=dim), blobs(20, seed=2, noise=3.0, dim=dim)
        before, probe = bank.x.clone(), RidgeProbe()
        first, again = probe.evaluate(bank, test), probe.evaluate(bank, test)
        assert torch.equal(first.test.scores, again.test.scores) and first.metrics == again.metrics
        assert torch.equal(bank.x, before)


def test_features_that_need_too_much_memory_are_refused_with_the_alternative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, 'LARGEST', 7)
    bank = blobs(20, seed=1)
    with pytest.raises(ConfigError, match=r'60 clips of 8 features need products of 8 x 8.*type=LogisticProbe'):
        RidgeProbe()(bank, bank)


def test_a_penalty_below_the_precision_is_refused() -> None:
    bank = blobs(20, seed=1)
    twice = replace(bank, x=torch.cat([bank.x, bank.x], dim=1))
    with pytest.raises(ConfigError, match='penalty 1e-30 is too small'):
        RidgeProbe(penalties=(1e-30,))(twice, twice)
