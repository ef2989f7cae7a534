"""The few-shot probe: equal to the logistic probe, calibrated, and able to say that it does not know a clip."""

import numpy as np
import pytest
import torch

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation import Features, LogisticProbe
from skeattn.evaluation.calibration import expected_calibration_error
from skeattn.evaluation.few_shot import fit_few_shot
from skeattn.evaluation.logistic_probe import PENALTIES
from skeattn.evaluation.probe import class_folds


def features(x: np.ndarray, labels: np.ndarray, subjects: np.ndarray | None = None) -> Features:
    N = len(x)
    subjects = np.full(N, -1) if subjects is None else subjects
    return Features(
        torch.tensor(x, dtype=torch.float32), torch.tensor(labels), torch.tensor(subjects), [f'c{i}' for i in range(N)]
    )


def gaussians(N: int, D: int, apart: float, classes: int = 4, seed: int = 0, draw: int = 0) -> Features:
    """Overlapping classes; ``seed`` draws their centres, ``draw`` the clips."""
    centres = np.random.default_rng(seed).normal(size=(classes, D)) * apart / np.sqrt(D)
    labels = np.arange(N) % classes
    noise = np.random.default_rng((seed, draw, 1)).normal(size=(N, D))
    return features(centres[labels] + noise, labels)


@pytest.mark.slow
def test_logits_are_those_of_the_logistic_probe() -> None:
    bank, test = gaussians(40, 12, 4.0), gaussians(20, 12, 4.0, draw=1)
    probe = fit_few_shot(bank)
    expected = LogisticProbe(device='cpu').solve(bank, test, class_folds(bank.labels, 5, 0), 4, torch.device('cpu'))
    torch.testing.assert_close(probe.logits(test.x).float(), expected.test, atol=1e-4, rtol=1e-4)
    assert probe.facts['penalty'] == expected.penalty


def calibration(penalties: tuple[float, ...]) -> tuple[float, float]:
    """Mean calibration error of probabilities without and with the temperature."""
    errors = []
    for seed in range(4):
        bank, test = gaussians(120, 20, 2.0, seed=seed), gaussians(2000, 20, 2.0, seed=seed, draw=1)
        probe = fit_few_shot(bank, penalties=penalties)
        rows = (probe.logits(test.x).softmax(dim=1), probe(test.x).probabilities)
        errors.append([expected_calibration_error(p, test.labels) for p in rows])
    before, after = np.mean(errors, axis=0)
    return float(before), float(after)


@pytest.mark.slow
@pytest.mark.parametrize('penalty', [1e-4, 1.0])
def test_the_temperature_calibrates_a_classifier_that_is_too_sure_or_too_unsure(penalty: float) -> None:
    before, after = calibration((penalty,))
    assert before > 0.1 and after < 0.5 * before


@pytest.mark.slow
def test_probabilities_are_calibrated_with_the_chosen_penalty() -> None:
    before, after = calibration(PENALTIES)
    assert after < 0.05 and after < before + 0.01


@pytest.mark.slow
@pytest.mark.parametrize('accept', [0.8, 0.9, 1.0])
def test_clips_of_an_unseen_class_are_rejected_more_often_than_known_ones(accept: float) -> None:
    whole, test = (gaussians(N, 16, 8.0, classes=6, draw=draw) for draw, N in enumerate((120, 600)))
    known = torch.nonzero(whole.labels < 4)[:, 0]
    unknown = fit_few_shot(whole.select(known), accept)(test.x).unknown
    rejected, lost = (unknown[rows].float().mean().item() for rows in (test.labels >= 4, test.labels < 4))
    assert rejected > 2 * lost and rejected > 0.15
    assert lost < 1.3 * (1 - accept) + 0.08


@pytest.mark.slow
def test_each_threshold_is_a_quantile_of_held_out_clips() -> None:
    bank = gaussians(100, 10, 5.0)
    folds = class_folds(bank.labels, 5, 0)
    unit = torch.nn.functional.normalize(bank.x, dim=1)
    similarity = (unit @ unit.T).masked_fill(folds[:, None] == folds, -2).amax(dim=1)
    probe = fit_few_shot(bank, accept=0.8)
    assert probe.least_similarity == pytest.approx(float(similarity.sort().values[9]), abs=1e-6)
    assert (similarity < probe.least_similarity - 1e-6).float().mean() <= 0.1
    tighter = fit_few_shot(bank, accept=0.6)
    assert tighter.least_similarity > probe.least_similarity
    assert tighter.least_probability > probe.least_probability


@pytest.mark.slow
def test_folds_are_of_subjects_where_every_class_has_several() -> None:
    bank = gaussians(48, 6, 3.0)
    everybody = np.arange(48) // 4 % 3
    grouped = Features(bank.x, bank.labels, torch.tensor(everybody), bank.names)
    assert fit_few_shot(grouped).facts['folds'] == 3
    alone = Features(bank.x, bank.labels, bank.labels, bank.names)  # each class has a subject of its own
    assert fit_few_shot(alone).facts['folds'] == 5


def test_a_clip_of_a_class_is_not_enough() -> None:
    one = features(np.eye(3), np.array([0, 0, 1]))
    with pytest.raises(DataError, match='label 1 has one clip; give at least two'):
        fit_few_shot(one)
    with pytest.raises(DataError, match='all 3 clips have one label'):
        fit_few_shot(features(np.eye(3), np.zeros(3, int)))
    with pytest.raises(ConfigError, match='folds=1: every choice is made on held-out clips'):
        fit_few_shot(gaussians(8, 3, 1.0), folds=1)
    with pytest.raises(ConfigError, match=r"accept='x' .* choose it in"):
        fit_few_shot(gaussians(8, 3, 1.0), accept='x')
    with pytest.raises(ConfigError, match=r'accept=0 .* choose it in \(0, 1\]'):
        fit_few_shot(gaussians(8, 3, 1.0), accept=0)
