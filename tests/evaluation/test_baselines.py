import pytest
import torch

from skeattn.evaluation import Features, FunctionEvaluator, KNNEvaluator, raw_features
from skeattn.evaluation.baselines import evaluate_raw, evaluate_untrained, untrained
from tests.evaluation.standins import Encoder, clip_set


def test_raw_row_evaluates_the_coordinates() -> None:
    train, test = clip_set(20, seed=0), clip_set(10, seed=1)
    expected = KNNEvaluator(k=(3,))(raw_features(train), raw_features(test))['top1_k3']
    assert evaluate_raw({'knn': KNNEvaluator(k=(3,))}, train, test)['knn/top1_k3'] == expected


def test_untrained_row_is_the_mean_over_fresh_networks() -> None:
    """Each seed gives a different network; the evaluator here returns a number that depends on its weights."""
    train, test = clip_set(20, seed=0), clip_set(10, seed=1)

    def size(bank: Features, queries: Features) -> dict[str, float]:
        return {'size': bank.x.abs().mean().item() + queries.x.abs().mean().item()}

    state = torch.get_rng_state()
    evaluators = {'x': FunctionEvaluator(size)}
    single = [evaluate_untrained(evaluators, Encoder, train, test, [seed])['x/size'] for seed in (0, 1, 2)]
    mean = evaluate_untrained(evaluators, Encoder, train, test)['x/size']
    assert len(set(single)) == 3
    assert mean == pytest.approx(sum(single) / 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_untrained_network_has_the_training_clips_statistics() -> None:
    train = clip_set(40)
    train.clips += 5
    model = untrained(Encoder, train, seed=3)
    with torch.no_grad():
        expected = model.fc(train.clips.mean(dim=(2, 3, 4))).mean(0)
    torch.testing.assert_close(model.bn.running_mean, expected)
