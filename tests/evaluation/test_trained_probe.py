"""The classifier of a probe, as a linear function of the features, gives the scores of its evaluation."""

import pytest
import torch

from skeattn.evaluation import Features, LinearProbe
from skeattn.evaluation.calibration import fit_temperature
from skeattn.evaluation.logistic_probe import LogisticProbe
from skeattn.evaluation.ridge_probe import RidgeProbe
from skeattn.evaluation.trained_probe import TrainedProbe

PROBES = {
    'ridge': RidgeProbe(device='cpu'),
    'logistic': LogisticProbe(device='cpu'),
    'linear': LinearProbe(epochs=5, lr=0.1, device='cpu'),
    'batch norm': LinearProbe(epochs=5, lr=0.1, batch_norm=True, device='cpu'),
}


def features(clips: int, seed: int, D: int = 12, streams: int = 1) -> Features:
    """Of three overlapping classes; a feature is constant, and their scales differ."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.arange(clips) % 3
    x = (torch.randn(clips, D, generator=draws) + torch.eye(3, D)[labels] * 2) * torch.logspace(-1, 1, D) + 3
    x[:, -1] = 5
    return Features(x, labels, torch.arange(clips) % 4, [f'clip {i}' for i in range(clips)], streams)


@pytest.mark.parametrize('streams', [1, 2])
@pytest.mark.parametrize('D', [12, 200])  # fewer and more features than clips
@pytest.mark.parametrize('name', PROBES)
def test_it_is_the_classifier_that_was_evaluated(name, D, streams):
    bank, test = features(90, 0, D, streams), features(30, 1, D, streams)
    result = PROBES[name].evaluate(bank, test)
    probe = TrainedProbe.of(result.probe, 'backbone', ('a', 'b', 'c'), name)
    torch.testing.assert_close(probe.scores(test.x).float(), result.test.scores, rtol=1e-4, atol=1e-4)
    assert probe.temperature == fit_temperature(result.probe.heldout.scores, result.probe.heldout.labels)
    expected = (probe.scores(test.x) / probe.temperature).softmax(dim=1)
    assert torch.equal(probe.probabilities(test.x), expected)
    stored = TrainedProbe.stored({'tensors': probe.tensors, 'facts': probe.facts}, 'file')
    assert torch.equal(stored.scores(test.x), probe.scores(test.x)) and stored.classes == probe.classes


def test_a_class_without_training_clips_is_never_predicted():
    bank, test = features(90, 0), features(30, 1)
    bank.labels[bank.labels == 1] = 0
    result = LogisticProbe(device='cpu').evaluate(bank, test)
    probe = TrainedProbe.of(result.probe, 'backbone', ('a', 'b', 'c'), 'probe')
    assert set(probe.scores(test.x).argmax(dim=1).tolist()) == {0, 2}


def test_features_of_unit_length_have_no_linear_classifier():
    bank, test = features(90, 0), features(30, 1)
    assert LinearProbe(epochs=2, lr=0.1, normalise=True, device='cpu').evaluate(bank, test).probe is None
