"""What every probe with a penalty has in common."""

from dataclasses import replace

import pytest
import torch

from skeattn.errors import ConfigError
from skeattn.evaluation import DiscriminantProbe, Features, LogisticProbe, RidgeProbe
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.probe import PenalisedProbe, class_folds, subject_folds
from skeattn.evaluation.scaling import scaling
from tests.evaluation.standins import blobs

PROBES = [RidgeProbe, DiscriminantProbe, LogisticProbe]
each_probe = pytest.mark.parametrize('probe', PROBES)


@each_probe
def test_scale_offset_and_constant_features_do_not_matter(probe: type[PenalisedProbe]) -> None:
    bank, test = blobs(20, seed=1, noise=2.0), blobs(20, seed=2, noise=2.0)
    expected = probe().evaluate(bank, test)

    def changed(features: Features) -> Features:
        constant = torch.tensor([0.0, 3.0]).expand(len(features), 2)
        rounding = 1000 + 1e-3 * torch.randn(len(features), 1, generator=torch.Generator().manual_seed(0))
        return replace(features, x=torch.cat([features.x * 7 + 2, constant, rounding], dim=1))

    result = probe().evaluate(changed(bank), changed(test))
    torch.testing.assert_close(result.test.scores, expected.test.scores, atol=1e-3, rtol=1e-3)
    assert result.metrics == expected.metrics
    standardised = scaling(changed(bank).x)(changed(bank).x)
    assert not standardised[:, -3:].any()
    torch.testing.assert_close(standardised[:, :-3].std(dim=0, correction=0), torch.ones(8))


@each_probe
def test_the_result_has_the_choice_and_the_scores_of_held_out_clips(probe: type[PenalisedProbe]) -> None:
    bank, test = blobs(20, seed=1, noise=3.0, subjects=4, classes=7), blobs(20, seed=2, noise=3.0, classes=7)
    result = probe().evaluate(bank, test)
    penalty = result.facts['penalty']
    assert penalty in probe().penalties
    assert result.facts['chosen_on'] == 'held-out training subjects, 4 folds'
    assert result.facts['scores_of'] == f'penalty {penalty:.3g}, chosen on held-out training subjects'
    assert result.facts['selection']['top1'] == 'penalty chosen on held-out training subjects'
    assert result.metrics == {
        'top1': accuracy(result.test.scores, test.labels),
        'heldout_top1': accuracy(result.heldout.scores, bank.labels),
        'top5': accuracy(result.test.scores, test.labels, 5),
    }
    assert result.heldout.names == bank.names and result.test.names == test.names


@each_probe
def test_without_subjects_folds_are_of_clips_and_the_result_states_it(probe: type[PenalisedProbe]) -> None:
    bank, test = blobs(10, seed=1), blobs(10, seed=2)
    for subjects in (torch.full((30,), -1), torch.full((30,), 3)):
        alone = replace(bank, subjects=subjects)
        result = probe(seed=4).evaluate(alone, test)
        assert result.facts['chosen_on'].startswith('held-out training clips, 5 folds: the subjects of the training')
        assert result.heldout is None
        again = probe(seed=4).evaluate(alone, test)
        assert torch.equal(again.test.scores, result.test.scores) and again.metrics == result.metrics


@each_probe
def test_a_class_of_one_subject_or_of_test_clips_alone_does_no_harm(probe: type[PenalisedProbe]) -> None:
    bank, test = blobs(10, seed=1, subjects=3), blobs(10, seed=2)
    lonely = torch.where((bank.labels == 2) & (bank.subjects != 1), 1, bank.labels)
    result = probe().evaluate(replace(bank, labels=lonely), replace(test, labels=test.labels + 5 * (test.labels == 2)))
    assert result.test.scores.shape == (30, 8) and result.test.scores.isfinite().all()
    assert set(result.test.scores.argmax(1).tolist()) <= {0, 1, 2} and result.heldout.scores.isfinite().all()


@each_probe
@pytest.mark.parametrize('options', [{'penalties': ()}, {'penalties': (1.0, 0.0)}, {'folds': 1}])
def test_settings_out_of_range_are_refused(probe: type[PenalisedProbe], options: dict) -> None:
    with pytest.raises(ConfigError, match=f'{probe.__name__}: .*give penalties > 0 and at least 2 folds'):
        probe(**options)


@each_probe
def test_one_clip_is_too_few(probe: type[PenalisedProbe]) -> None:
    with pytest.raises(ConfigError, match='1 training clips are too few'):
        probe().evaluate(blobs(1, seed=1, classes=1), blobs(1, seed=1))


def test_folds_are_whole_subjects_or_shares_of_each_class() -> None:
    subjects = torch.tensor([1] * 6 + [2] * 5 + [4] * 2 + [7] * 2 + [9])
    folds = subject_folds(subjects, 3)
    assert [sorted(set(subjects[folds == fold].tolist())) for fold in range(3)] == [[1], [2], [4, 7, 9]]
    labels = torch.arange(40) % 4
    folds = class_folds(labels, 5, seed=1)
    assert torch.bincount(folds * 4 + labels).tolist() == [2] * 20
    assert torch.equal(folds, class_folds(labels, 5, seed=1)) and not torch.equal(folds, class_folds(labels, 5, seed=2))
