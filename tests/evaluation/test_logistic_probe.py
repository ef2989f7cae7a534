"""The logistic probe against scikit-learn, and what must not change its result."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skeattn.evaluation import LogisticProbe, logistic, logistic_probe, scaling
from skeattn.evaluation.logistic import fit, principal_axes
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.probe import subject_folds
from tests.evaluation import published
from tests.evaluation.standins import blobs


def objective(x: np.ndarray, labels: np.ndarray, W: np.ndarray, b: np.ndarray, penalty: float) -> float:
    logits = x @ W + b
    log_sum = np.logaddexp.reduce(logits, axis=1)
    return float((log_sum - logits[np.arange(len(x)), labels]).mean() + penalty / 2 * (W**2).sum())


def solved(x: torch.Tensor, labels: torch.Tensor, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Our W (D, K) and b (K,) of standardised features."""
    basis = principal_axes(x)
    found = fit(basis(x), labels, int(labels.max()) + 1, penalty, basis.variances)
    assert found.converged
    W = found.weights if basis.axes is None else basis.axes @ found.weights
    W, b = W.numpy(), found.bias.numpy()
    assert found.objective == pytest.approx(objective(x.double().numpy(), labels.numpy(), W, b, penalty), abs=1e-6)
    return W, b


def check_against_scikit_learn(x: torch.Tensor, labels: torch.Tensor, penalty: float) -> None:
    linear_model = pytest.importorskip('sklearn.linear_model')
    x = scaling.scaling(x)(x)
    W, b = solved(x, labels, penalty)
    X, y = x.double().numpy(), labels.numpy()
    oracle = linear_model.LogisticRegression(C=1 / (len(x) * penalty), tol=1e-8, max_iter=20000).fit(X, y)
    theirs = objective(X, y, oracle.coef_.T, oracle.intercept_, penalty)
    assert objective(X, y, W, b, penalty) == pytest.approx(theirs, abs=1e-5)
    np.testing.assert_allclose(X @ W, X @ oracle.coef_.T, atol=0.02 * np.abs(X @ W).max())


@pytest.mark.parametrize('penalty', [1.0, 0.01, 1e-4])
@pytest.mark.parametrize('dim', [5, 200])
def test_the_solution_is_that_of_scikit_learn_on_random_features(penalty: float, dim: int) -> None:
    bank = blobs(30, seed=1, classes=4, dim=dim)
    scales = torch.logspace(-3, 3, dim)
    check_against_scikit_learn(bank.x * scales + 5, bank.labels, penalty)


@pytest.mark.slow
@pytest.mark.parametrize('penalty', [0.3, 0.01])
def test_the_solution_is_that_of_scikit_learn_on_real_features(penalty: float) -> None:
    bank = published.utdmhad()[0]
    check_against_scikit_learn(bank.x, bank.labels, penalty)


def test_blocks_and_a_missing_basis_change_nothing(monkeypatch) -> None:
    bank = blobs(30, seed=1, classes=3, dim=40)
    x = scaling.scaling(bank.x)(bank.x)
    expected = solved(x, bank.labels, 0.1)
    for module, name, value in ((scaling, 'BLOCK', 130), (logistic, 'LARGEST', 10), (logistic, 'SMALL', 0)):
        monkeypatch.setattr(module, name, value)
        for ours, one in zip(solved(x, bank.labels, 0.1), expected, strict=True):
            np.testing.assert_allclose(ours, one, atol=2e-4)


@pytest.mark.slow
def test_rounding_of_real_features_moves_the_accuracy_by_at_most_three_tenths() -> None:
    real = published.utdmhad()
    top1 = LogisticProbe()(*real)['top1']
    assert top1 > 60
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        disturbed = [replace(f, x=f.x * (1 + 1e-7 * torch.randn(f.x.shape, generator=generator))) for f in real]
        assert abs(LogisticProbe()(*disturbed)['top1'] - top1) <= 0.3


@pytest.mark.slow
def test_the_penalty_is_chosen_on_held_out_subjects_and_the_record_knows_how() -> None:
    bank, test = blobs(20, seed=1, noise=3.0, subjects=4), blobs(20, seed=2, noise=3.0)
    result = LogisticProbe().evaluate(bank, test)
    losses, folds = {}, subject_folds(bank.subjects, 5)
    assert len(folds.unique()) == 4
    x = scaling.scaling(bank.x)(bank.x).double().numpy()
    for penalty in logistic_probe.PENALTIES:
        total = 0.0
        for fold in range(4):
            held, rest = (folds == fold).numpy(), (folds != fold).numpy()
            W, b = solved(torch.from_numpy(x[rest]).float(), bank.labels[rest], penalty)
            total += held.sum() * objective(x[held], bank.labels[held].numpy(), W, b, 0.0)
        losses[penalty] = total / len(x)
    assert result.facts['penalty'] == min(losses, key=losses.__getitem__)
    for penalty, loss in result.facts['heldout_loss'].items():
        near = min(losses, key=lambda known: abs(known - float(penalty)))
        assert loss == pytest.approx(losses[near], abs=1e-4)
    assert result.facts['chosen_on'] == 'held-out training subjects, 4 folds'
    assert result.metrics['heldout_top1'] == accuracy(result.heldout.scores, bank.labels)
    assert result.heldout.names == bank.names
    assert result.metrics['top1'] == accuracy(result.test.scores, test.labels)
