"""The one shape of everything that evaluates features."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from mmengine.dist import is_main_process

from skeattn.errors import ConfigError
from skeattn.evaluation.features import Features
from skeattn.evaluation.result import ProtocolResult


class Evaluator:
    """Evaluates the features of test clips with the help of the training clips' (the bank).

    A subclass writes :meth:`evaluate` and is registered in ``EVALUATORS``.

    Attributes:
        reads: ``'features'`` of the encoder, or the ``'logits'`` of a trained classifier.
        distributed: whether all processes call it and share the work; otherwise the first process works alone.
    """

    reads: Literal['features', 'logits'] = 'features'
    distributed = False

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """The result on the test clips."""
        raise NotImplementedError

    def __call__(self, bank: Features, test: Features) -> dict[str, float]:
        """The metrics alone."""
        return self.evaluate(bank, test).metrics


class FunctionEvaluator(Evaluator):
    """A function as an evaluator.

    Args:
        function: ``(bank, test)`` -> metrics by name, in percent.
    """

    def __init__(self, function: Callable[[Features, Features], Mapping[str, float]]) -> None:
        self.function = function

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """The metrics of the function."""
        return ProtocolResult(dict(self.function(bank, test)))


def as_evaluator(component: Any) -> Evaluator:
    """An evaluator as it is; a function, or an object that can be called like one, wrapped.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(component, Evaluator):
        return component
    if not callable(component):
        raise ConfigError(
            f'{type(component).__name__} evaluates no features: derive it from skeattn.evaluation.Evaluator, or let '
            f'it be called with the features of bank and test clips'
        )
    return FunctionEvaluator(component)


def run_evaluator(evaluator: Evaluator, bank: Features, test: Features) -> ProtocolResult:
    """The result of an evaluator; all processes call it.

    It is complete on the first process. Where the evaluator does not share its work, it is empty on the others.
    """
    if not evaluator.distributed and not is_main_process():
        return ProtocolResult({})
    return evaluator.evaluate(bank, test)


def evaluate_all(evaluators: Mapping[str, Evaluator], bank: Features, test: Features) -> dict[str, float]:
    """The metrics of all evaluators, each under ``name/metric``; all processes call it, the first has all of them."""
    return flat_metrics({name: run_evaluator(evaluator, bank, test) for name, evaluator in evaluators.items()})


def flat_metrics(results: Mapping[str, ProtocolResult]) -> dict[str, float]:
    """All metrics, each under ``name/metric``."""
    return {f'{name}/{key}': value for name, result in results.items() for key, value in result.metrics.items()}
