"""One shape of evaluator: classes, functions, and what is neither."""

import numpy as np
import pytest
import torch

from skeattn.errors import ConfigError
from skeattn.evaluation import Evaluator, FunctionEvaluator, KNNEvaluator, ProtocolResult
from skeattn.evaluation import evaluator as module
from skeattn.evaluation.evaluator import as_evaluator, evaluate_all, run_evaluator
from tests.evaluation.standins import blobs

BANK, TEST = blobs(8, 0), blobs(4, 1)


class Count(Evaluator):
    def __init__(self, distributed: bool = False) -> None:
        self.distributed = distributed

    def evaluate(self, bank, test) -> ProtocolResult:
        return ProtocolResult({'bank': float(len(bank)), 'test': float(len(test))})


def test_metrics_carry_the_name_of_their_evaluator() -> None:
    metrics = evaluate_all({'near': KNNEvaluator(k=(1,)), 'far': KNNEvaluator(k=(5,)), 'count': Count()}, BANK, TEST)
    assert metrics['near/top1_k1'] == KNNEvaluator(k=(1,))(BANK, TEST)['top1_k1']
    assert {key for key in metrics if '/top1_k' in key} == {'near/top1_k1', 'far/top1_k5'}
    assert metrics['count/bank'] == 24.0 and metrics['count/test'] == 12.0


def test_a_function_is_an_evaluator_of_features() -> None:
    evaluator = as_evaluator(lambda bank, test: {'clips': 100.0 * len(test) / len(bank)})
    assert isinstance(evaluator, FunctionEvaluator) and evaluator.reads == 'features'
    assert evaluator(BANK, TEST) == {'clips': 50.0}
    assert as_evaluator(evaluator) is evaluator


def test_what_evaluates_nothing_is_refused_with_the_cure() -> None:
    with pytest.raises(ConfigError, match=r'dict evaluates no features; derive it from skeattn\.evaluation\.Evaluator'):
        as_evaluator({})


@pytest.mark.parametrize(('distributed', 'metrics'), [(False, {}), (True, {'bank': 24.0, 'test': 12.0})])
def test_other_processes_work_only_where_the_work_is_shared(monkeypatch, distributed: bool, metrics: dict) -> None:
    monkeypatch.setattr(module, 'is_main_process', lambda: False)
    assert run_evaluator(Count(distributed), BANK, TEST).metrics == metrics


def test_products_are_exact_whatever_the_training_has_chosen() -> None:
    """TF32 and bfloat16 have fewer digits than the differences between neighbours."""
    asked = FunctionEvaluator(lambda bank, test: {torch.get_float32_matmul_precision(): 1.0})
    torch.set_float32_matmul_precision('medium')
    try:
        assert evaluate_all({'asked': asked}, BANK, TEST) == {'asked/highest': 1.0}
        assert torch.get_float32_matmul_precision() == 'medium'
    finally:
        torch.set_float32_matmul_precision('highest')


@pytest.mark.parametrize('returned', [12.5, {'top1': 'high'}, None, [('top1', 1.0)]])
def test_a_function_that_returns_no_metrics_is_named(returned):
    def my_metric(bank, test):
        return returned

    with pytest.raises(ConfigError, match=r'the evaluator my_metric returns .* not a dict of numbers'):
        FunctionEvaluator(my_metric).evaluate(None, None)


def test_a_function_may_return_numbers_of_any_library():
    metrics = FunctionEvaluator(lambda bank, test: {'a': 1, 'b': np.float32(2.5), 'c': torch.tensor(3.0)})
    assert {name: float(value) for name, value in metrics(None, None).items()} == {'a': 1.0, 'b': 2.5, 'c': 3.0}
