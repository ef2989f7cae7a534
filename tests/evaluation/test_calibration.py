import numpy as np
import pytest
import torch

from skeattn.errors import NonFiniteError
from skeattn.evaluation.calibration import HIGHEST, LOWEST, expected_calibration_error, fit_temperature


def draws(N: int, K: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose softmax is the distribution from which the labels are drawn."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(N, K, generator=generator)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize('factor', [0.4, 1.0, 3.0])
def test_the_temperature_undoes_a_factor_on_the_logits(factor: float) -> None:
    logits, labels = draws(20000, 5)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)


def test_the_temperature_calibrates_clips_that_it_was_not_fitted_to() -> None:
    logits, labels = draws(4000, 5)
    sharp = 3 * logits
    T = fit_temperature(sharp[:2000], labels[:2000])
    before, after = (expected_calibration_error((sharp[2000:] / t).softmax(dim=1), labels[2000:]) for t in (1.0, T))
    assert before > 0.15 and after < 0.03


def test_the_temperature_of_perfect_predictions_is_bounded() -> None:
    assert LOWEST <= fit_temperature(10 * torch.eye(4), torch.arange(4)) < 0.3
    assert fit_temperature(10 * torch.eye(4), torch.arange(4).flip(0)) == pytest.approx(HIGHEST, rel=1e-3)


def slow_error(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> float:
    total = 0.0
    for low in np.arange(bins) / bins:
        rows = [
            i
            for i, p in enumerate(probabilities.max(axis=1))
            if low <= p < low + 1 / bins or (p == 1 == low + 1 / bins)
        ]
        if rows:
            right = np.mean(probabilities[rows].argmax(axis=1) == labels[rows])
            total += len(rows) / len(labels) * abs(right - probabilities[rows].max(axis=1).mean())
    return total


def test_the_error_is_the_mean_gap_of_the_bins() -> None:
    logits, labels = draws(300, 4)
    p = (1.7 * logits).softmax(dim=1)
    assert expected_calibration_error(p, labels, bins=8) == pytest.approx(
        slow_error(p.double().numpy(), labels.numpy(), 8)
    )
    sure = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert expected_calibration_error(sure, torch.tensor([0, 1])) == pytest.approx(0.5)


def test_probabilities_that_are_nan_are_refused() -> None:
    with pytest.raises(NonFiniteError, match='1 of 2 clips have a probability that is NaN'):
        expected_calibration_error(torch.tensor([[torch.nan, 0.5], [0.5, 0.5]]), torch.zeros(2, dtype=torch.int64))
