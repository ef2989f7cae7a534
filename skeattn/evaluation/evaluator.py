"""The interface of every evaluator of features."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from mmengine.dist import is_main_process

from skeattn.errors import ConfigError
from skeattn.evaluation.features import Features
from skeattn.evaluation.result import ProtocolResult


class Evaluator:
    """Evaluates the features of test clips, with those of the training clips as the bank.

    A subclass implements :meth:`evaluate` and is registered in ``EVALUATORS``.

    Attributes:
        reads: ``'features'`` of the encoder, or ``'logits'`` of a trained classifier.
        distributed: whether all processes call it and share the work; otherwise only the first process calls it.
    """

    reads: Literal['features', 'logits'] = 'features'
    distributed = False

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """The result on the test clips."""
        raise NotImplementedError

    def __call__(self, bank: Features, test: Features) -> dict[str, float]:
        """Only the metrics of :meth:`evaluate`."""
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
    """An evaluator unchanged; any other callable wrapped in a :class:`FunctionEvaluator`.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(component, Evaluator):
        return component
    if not callable(component):
        raise ConfigError(
            f'{type(component).__name__} evaluates no features; derive it from skeattn.evaluation.Evaluator, or make '
            f'it callable with the features of bank and test clips'
        )
    return FunctionEvaluator(component)


def run_evaluator(evaluator: Evaluator, bank: Features, test: Features) -> ProtocolResult:
    """The result of an evaluator; all processes call this function.

    The result is complete on the first process. It is empty on the others unless the evaluator is distributed.
    """
    if not evaluator.distributed and not is_main_process():
        return ProtocolResult({})
    return evaluator.evaluate(bank, test)


def evaluate_all(evaluators: Mapping[str, Evaluator], bank: Features, test: Features) -> dict[str, float]:
    """Metrics of all evaluators as ``name/metric``; all processes call it, the first one returns all of them."""
    return flat_metrics({name: run_evaluator(evaluator, bank, test) for name, evaluator in evaluators.items()})


def flat_metrics(results: Mapping[str, ProtocolResult]) -> dict[str, float]:
    """Metrics of all results as ``name/metric``."""
    return {f'{name}/{key}': value for name, result in results.items() for key, value in result.metrics.items()}
