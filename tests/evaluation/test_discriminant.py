"""Penalised discriminant analysis against scikit-learn."""

import numpy as np
import pytest
import torch

from skeattn.evaluation import DiscriminantProbe, RidgeProbe, ridge, scaling
from skeattn.evaluation.discriminant import LOWEST
from skeattn.evaluation.ridge import equations
from tests.evaluation import published
from tests.evaluation.standins import blobs


def check_against_scikit_learn(x: torch.Tensor, labels: torch.Tensor, penalty: float, tolerance: float) -> None:
    """Scores relative to those of the first class, as scikit-learn's have another term that all classes share."""
    discriminant_analysis = pytest.importorskip('sklearn.discriminant_analysis')
    K, folds = int(labels.max()) + 1, torch.arange(len(x)) % 3
    _, problem = equations(x, labels, K, folds, scaling.scaling(x))
    planes = DiscriminantProbe().fit(problem, (penalty,), left_out=2)
    X, y = scaling.scaling(x)(x, torch.float64).numpy(), labels.numpy()
    kept = (folds != 2).numpy()
    share = np.bincount(y[kept]) / kept.sum()
    within = X[kept] - np.stack([X[kept & (y == k)].mean(axis=0) for k in range(K)])[y[kept]]
    variance = (within**2).mean()  # scikit-learn shrinks towards the mean variance
    shrinkage = penalty / (penalty + variance)
    oracle = discriminant_analysis.LinearDiscriminantAnalysis(solver='lsqr', shrinkage=shrinkage).fit(X[kept], y[kept])
    weights = oracle.coef_.T * (1 - shrinkage)
    bias = (oracle.intercept_ - np.log(share)) * (1 - shrinkage) + np.log(share)
    ours, theirs = X @ planes.weights[0].double().numpy() + planes.bias[0].numpy(), X @ weights + bias
    ours, theirs = ours - ours[:, :1], theirs - theirs[:, :1]
    np.testing.assert_allclose(ours, theirs, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize('penalty', [1.0, 0.01])
@pytest.mark.parametrize('dim', [5, 200])
def test_the_scores_are_those_of_scikit_learn_on_random_features(penalty: float, dim: int) -> None:
    bank = blobs(30, seed=1, classes=4, dim=dim)
    uneven = bank.select(torch.nonzero((bank.labels > 0) | (torch.arange(120) < 60))[:, 0])
    check_against_scikit_learn(uneven.x * torch.logspace(-3, 3, dim) + 5, uneven.labels, penalty, 1e-8)


@pytest.mark.slow
@pytest.mark.parametrize('real', [published.nwucla, published.utdmhad])
def test_the_scores_are_those_of_scikit_learn_on_real_features(real) -> None:
    check_against_scikit_learn(real()[0].x, real()[0].labels, 0.1, 1e-6)


def test_single_precision_changes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, 'SMALL', 0)
    for dim in (40, 200):
        bank = blobs(30, seed=1, classes=4, dim=dim)
        check_against_scikit_learn(bank.x + 5, bank.labels, 0.1, 1e-4)


def test_a_class_between_two_others_is_not_hidden() -> None:
    """A regression on one-hot targets never finds the middle one of three classes in a row."""
    labels = torch.arange(300) % 3
    bank, test = blobs(100, seed=1), blobs(100, seed=2)
    for part, seed in ((bank, 1), (test, 2)):
        noise = 0.2 * torch.randn(300, 1, generator=torch.Generator().manual_seed(seed))
        part.x, part.labels = labels[:, None] + noise, labels
    assert RidgeProbe()(bank, test)['top1'] < 80 and DiscriminantProbe()(bank, test)['top1'] > 95


def test_a_class_without_clips_is_never_chosen() -> None:
    bank, test = blobs(20, seed=1, classes=3), blobs(20, seed=2, classes=5)
    scores = DiscriminantProbe().evaluate(bank, test).test.scores
    assert (scores[:, 3:] == LOWEST).all() and (scores[:, :3] > LOWEST).all()
