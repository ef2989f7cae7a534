import pytest
import torch

from skeattn.errors import ConfigError
from skeattn.evaluation import Features
from skeattn.registry import EVALUATORS


def logits(x: torch.Tensor, labels: list[int]) -> Features:
    return Features(x, torch.tensor(labels), torch.full((len(x),), -1), [f'clip{i}' for i in range(len(x))])


BANK = logits(torch.zeros(0, 1), [])


def test_clips_whose_label_is_first_and_among_the_first_five_are_counted() -> None:
    falling = torch.arange(7.0, 0, -1).expand(4, 7)  # class 0 first, class 6 last
    evaluate = EVALUATORS.build({'type': 'TopK'})
    assert evaluate(BANK, logits(falling, [0, 4, 5, 6])) == {'top1': 25.0, 'top5': 50.0}


def test_five_classes_or_fewer_have_no_top5() -> None:
    evaluate = EVALUATORS.build({'type': 'TopK'})
    assert evaluate(BANK, logits(torch.eye(5), [0, 1, 2, 3, 0])) == {'top1': 80.0}


def test_features_that_are_no_logits_of_all_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'3 columns, .* label 3; .*source="logits" and num_classes'):
        EVALUATORS.build({'type': 'TopK'})(BANK, logits(torch.zeros(2, 3), [0, 3]))


def test_the_outcome_holds_the_logits_and_why_no_epoch_was_chosen() -> None:
    result = EVALUATORS.build({'type': 'TopK'}).evaluate(BANK, logits(torch.eye(5), [0, 1, 2, 3, 0]))
    assert torch.equal(result.test.scores, torch.eye(5)) and result.test.names[4] == 'clip4'
    assert result.notes.keys() == {'top1_best', 'top1_heldout'}
