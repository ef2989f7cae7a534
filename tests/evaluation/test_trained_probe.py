"""The classifier of a probe, as a linear function of the features, gives the scores of its evaluation."""

import pytest
import torch

from skeattn.evaluation import Features, LinearProbe
from skeattn.evaluation.calibration import expected_calibration_error, fit_temperature
from skeattn.evaluation.discriminant import DiscriminantProbe
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
    held = result.probe.heldout
    assert probe.temperature == fit_temperature(held.scores, held.labels, any_scale=True)
    expected = (probe.scores(test.x) / probe.temperature).softmax(dim=1)
    assert torch.equal(probe.probabilities(test.x), expected)
    stored = TrainedProbe.stored({'tensors': probe.tensors, 'facts': probe.facts}, 'file')
    assert torch.equal(stored.scores(test.x), probe.scores(test.x)) and stored.classes == probe.classes


def persons(subjects, classes, noise, seed=0, D=32):
    """Clips of classes, ten by each subject, who has a style of his own."""
    draws = torch.Generator().manual_seed(7)
    centres = torch.randn(classes, D, generator=draws)
    draws.manual_seed(seed)
    parts = []
    for subject in subjects:
        style = 0.3 * torch.randn(D, generator=draws)
        labels = torch.arange(10 * classes) % classes
        parts.append((centres[labels] + style + noise * torch.randn(len(labels), D, generator=draws), labels, subject))
    x, labels = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    who = torch.cat([torch.full_like(part[1], part[2]) for part in parts])
    return Features(x, labels, who, [f'clip {i}' for i in range(len(x))])


@pytest.mark.slow
@pytest.mark.parametrize('noise', [0.5, 3.0], ids=['easy', 'hard'])
@pytest.mark.parametrize('classes', [6, 30])
@pytest.mark.parametrize('kind', [RidgeProbe, DiscriminantProbe, LogisticProbe])
def test_its_probabilities_are_those_of_being_right(kind, classes, noise):
    bank, test = persons(range(5), classes, noise), persons(range(5, 10), classes, noise, seed=1)
    result = kind(device='cpu').evaluate(bank, test)
    probe = TrainedProbe.of(result.probe, 'backbone', tuple(map(str, range(classes))), 'probe')
    assert expected_calibration_error(probe.probabilities(test.x), test.labels) < 0.1


def test_a_class_that_a_single_subject_knows_leaves_the_probabilities_of_the_others_alone():
    bank, test = persons(range(5), 6, 0.5), persons(range(5, 10), 6, 0.5, seed=1)
    kept = (bank.labels < 5) | (bank.subjects == 0)
    bank = Features(bank.x[kept], bank.labels[kept], bank.subjects[kept], [bank.names[i] for i in kept.nonzero()[:, 0]])
    result = DiscriminantProbe(device='cpu').evaluate(bank, test)
    probe = TrainedProbe.of(result.probe, 'backbone', tuple('abcdef'), 'probe')
    assert expected_calibration_error(probe.probabilities(test.x), test.labels) < 0.1


def test_a_class_without_training_clips_is_never_predicted():
    bank, test = features(90, 0), features(30, 1)
    bank.labels[bank.labels == 1] = 0
    result = LogisticProbe(device='cpu').evaluate(bank, test)
    probe = TrainedProbe.of(result.probe, 'backbone', ('a', 'b', 'c'), 'probe')
    assert set(probe.scores(test.x).argmax(dim=1).tolist()) == {0, 2}


def test_features_of_unit_length_have_no_linear_classifier():
    bank, test = features(90, 0), features(30, 1)
    assert LinearProbe(epochs=2, lr=0.1, normalise=True, device='cpu').evaluate(bank, test).probe is None
