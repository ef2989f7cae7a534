"""The logistic probe against scikit-learn, and what must not change its result."""

import io
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.io import loadmat

from skeattn.errors import ConfigError
from skeattn.evaluation import Features, LogisticProbe, logistic, probe
from skeattn.evaluation.logistic import fit, principal_axes, scaling
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.probe import class_folds, subject_folds
from tests.conftest import shared_path
from tests.evaluation.standins import blobs

FRAMES = 8


@pytest.fixture(scope='module')
def real() -> tuple[Features, Features]:
    """Hip-centred coordinates of UTD-MHAD at a few frames, odd subjects and even subjects."""
    rows, labels, subjects, names = [], [], [], []
    with zipfile.ZipFile(shared_path('data/utd_mhad.zip')) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith('.mat')):
            clip = loadmat(io.BytesIO(archive.read(name)))['d_skel'].transpose(2, 0, 1)
            clip = clip[np.linspace(0, len(clip) - 1, FRAMES).round().astype(int)]
            rows.append(torch.tensor(clip - clip[:, 3:4], dtype=torch.float32).flatten())
            action, subject = map(int, re.search(r'a(\d+)_s(\d+)', name).groups())
            labels.append(action - 1)
            subjects.append(subject)
            names.append(name)
    whole = Features(torch.stack(rows), torch.tensor(labels), torch.tensor(subjects), names)
    odd = whole.subjects % 2 == 1
    return whole.select(torch.nonzero(odd)[:, 0]), whole.select(torch.nonzero(~odd)[:, 0])


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
    x = scaling(x)(x)
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


@pytest.mark.parametrize('penalty', [0.3, 0.01])
def test_the_solution_is_that_of_scikit_learn_on_real_features(real, penalty: float) -> None:
    check_against_scikit_learn(real[0].x, real[0].labels, penalty)


def test_blocks_and_a_missing_basis_change_nothing(monkeypatch) -> None:
    bank = blobs(30, seed=1, classes=3, dim=40)
    x = scaling(bank.x)(bank.x)
    expected = solved(x, bank.labels, 0.1)
    for name, value in (('BLOCK', 130), ('LARGEST', 10), ('SMALL', 0)):
        monkeypatch.setattr(logistic, name, value)
        for ours, one in zip(solved(x, bank.labels, 0.1), expected, strict=True):
            np.testing.assert_allclose(ours, one, atol=2e-4)


def test_rounding_of_real_features_moves_the_accuracy_by_at_most_three_tenths(real) -> None:
    top1 = LogisticProbe()(*real)['top1']
    assert top1 > 60
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        disturbed = [replace(f, x=f.x * (1 + 1e-7 * torch.randn(f.x.shape, generator=generator))) for f in real]
        assert abs(LogisticProbe()(*disturbed)['top1'] - top1) <= 0.3


def test_scale_offset_and_constant_features_do_not_matter() -> None:
    bank, test = blobs(20, seed=1, noise=2.0), blobs(20, seed=2, noise=2.0)
    expected = LogisticProbe().evaluate(bank, test)

    def changed(features: Features) -> Features:
        constant = torch.tensor([0.0, 3.0]).expand(len(features), 2)
        rounding = 1000 + 1e-3 * torch.randn(len(features), 1, generator=torch.Generator().manual_seed(0))
        return replace(features, x=torch.cat([features.x * 7 + 2, constant, rounding], dim=1))

    result = LogisticProbe().evaluate(changed(bank), changed(test))
    torch.testing.assert_close(result.test.scores, expected.test.scores, atol=1e-3, rtol=1e-3)
    assert result.metrics == expected.metrics
    standardised = scaling(changed(bank).x)(changed(bank).x)
    assert not standardised[:, -3:].any()
    torch.testing.assert_close(standardised[:, :-3].std(dim=0, correction=0), torch.ones(8))


def test_the_penalty_is_chosen_on_held_out_subjects_and_the_record_knows_how() -> None:
    bank, test = blobs(20, seed=1, noise=3.0, subjects=4), blobs(20, seed=2, noise=3.0)
    result = LogisticProbe().evaluate(bank, test)
    losses, folds = {}, subject_folds(bank.subjects, 5)
    assert len(folds.unique()) == 4
    x = scaling(bank.x)(bank.x).double().numpy()
    for penalty in probe.PENALTIES:
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


def test_without_subjects_folds_are_of_clips_and_it_is_said() -> None:
    bank, test = blobs(10, seed=1), blobs(10, seed=2)
    for subjects in (torch.full((30,), -1), torch.full((30,), 3)):
        alone = replace(bank, subjects=subjects)
        result = LogisticProbe(seed=4).evaluate(alone, test)
        assert result.facts['chosen_on'].startswith('held-out training clips, 5 folds: the subjects of the training')
        assert result.heldout is None
        again = LogisticProbe(seed=4).evaluate(alone, test)
        assert torch.equal(again.test.scores, result.test.scores) and again.metrics == result.metrics


def test_folds_are_whole_subjects_or_shares_of_each_class() -> None:
    subjects = torch.tensor([1] * 6 + [2] * 5 + [4] * 2 + [7] * 2 + [9])
    folds = subject_folds(subjects, 3)
    assert [sorted(set(subjects[folds == fold].tolist())) for fold in range(3)] == [[1], [2], [4, 7, 9]]
    labels = torch.arange(40) % 4
    folds = class_folds(labels, 5, seed=1)
    assert torch.bincount(folds * 4 + labels).tolist() == [2] * 20
    assert torch.equal(folds, class_folds(labels, 5, seed=1)) and not torch.equal(folds, class_folds(labels, 5, seed=2))


def test_a_class_of_one_subject_or_of_test_clips_alone_does_no_harm() -> None:
    bank, test = blobs(10, seed=1, subjects=3), blobs(10, seed=2)
    lonely = torch.where((bank.labels == 2) & (bank.subjects != 1), 1, bank.labels)
    result = LogisticProbe().evaluate(
        replace(bank, labels=lonely), replace(test, labels=test.labels + 5 * (test.labels == 2))
    )
    assert result.test.scores.shape == (30, 8) and result.test.scores.isfinite().all()
    assert set(result.test.scores.argmax(1).tolist()) <= {0, 1, 2} and result.heldout.scores.isfinite().all()


@pytest.mark.parametrize('options', [{'penalties': ()}, {'penalties': (1.0, 0.0)}, {'folds': 1}])
def test_settings_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match='give penalties > 0 and at least 2 folds'):
        LogisticProbe(**options)
