"""The interface of every evaluator of features."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import torch
from mmengine.dist import get_world_size, is_main_process

from skeattn.errors import ConfigError
from skeattn.evaluation.features import Features
from skeattn.evaluation.result import ProtocolResult
from skeattn.hardware import default_device

PATIENCE = timedelta(days=7)
"""How long other processes wait for an evaluator; the collectives of a training give up after half an hour."""


class Evaluator:
    """Evaluates the features of test clips, with those of the training clips as the bank.

    A subclass implements :meth:`evaluate` and is registered in ``EVALUATORS``.

    Attributes:
        reads: ``'features'`` of the encoder, or ``'logits'`` of a trained classifier.
        distributed: whether all processes call it and share the work; otherwise only the first process calls it, and
            the others wait for as long as it takes.
        metric_names: of its metrics at most, where its settings determine them, so that a training refuses a wrong name
            when it starts; None where only an evaluation tells.
    """

    reads: Literal['features', 'logits'] = 'features'
    distributed = False
    metric_names: tuple[str, ...] | None = None

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """The result on the test clips."""
        raise NotImplementedError

    def __call__(self, bank: Features, test: Features) -> dict[str, float]:
        """Only the metrics of :meth:`evaluate`."""
        return self.evaluate(bank, test).metrics


def working_device(name: str | None = None) -> torch.device:
    """The device of that name; by default the accelerator if there is one, otherwise the CPU."""
    return torch.device(name or default_device())


class FunctionEvaluator(Evaluator):
    """A function as an evaluator.

    Args:
        function: ``(bank, test)`` -> metrics by name, in percent.
    """

    def __init__(self, function: Callable[[Features, Features], Mapping[str, float]]) -> None:
        self.function = function

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """The metrics of the function.

        Raises:
            ConfigError: it returns anything else.
        """
        metrics = self.function(bank, test)
        try:
            return ProtocolResult({name: value + 0.0 for name, value in metrics.items()})
        except (AttributeError, TypeError) as error:
            name = getattr(self.function, '__name__', type(self.function).__name__)
            shown = f'{metrics!r:.100}, not a dict of numbers such as {{"top1": 50.0}}'
            raise ConfigError(f'the evaluator {name} returns {shown}') from error


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
    """The result of an evaluator; all processes call this function and leave it together.

    The result is complete on the first process. It is empty on the others unless the evaluator is distributed. Products
    have full single precision, whatever the training has chosen.
    """
    with full_precision():
        if evaluator.distributed:
            return evaluator.evaluate(bank, test)
        with left_together():
            return evaluator.evaluate(bank, test) if is_main_process() else ProtocolResult({})


@contextmanager
def left_together() -> Iterator[None]:
    """A block that all processes leave together, however long one of them works in it.

    They wait in a process group of their own, since the timeout of a group holds for everything that it does. The group
    is on the CPU: nothing waits on the accelerators meanwhile.
    """
    if get_world_size() == 1:
        yield
        return
    group = torch.distributed.new_group(backend='gloo', timeout=PATIENCE)
    yield
    torch.distributed.barrier(group)
    torch.distributed.destroy_process_group(group)


@contextmanager
def full_precision() -> Iterator[None]:
    """Float32 products in float32: TF32 and bfloat16, which are switches of the process, would swap neighbours."""
    chosen = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(chosen)


def evaluate_all(evaluators: Mapping[str, Evaluator], bank: Features, test: Features) -> dict[str, float]:
    """Metrics of all evaluators as ``name/metric``; all processes call it, the first one returns all of them."""
    return flat_metrics({name: run_evaluator(evaluator, bank, test) for name, evaluator in evaluators.items()})


def flat_metrics(results: Mapping[str, ProtocolResult]) -> dict[str, float]:
    """Metrics of all results as ``name/metric``."""
    return {f'{name}/{key}': value for name, result in results.items() for key, value in result.metrics.items()}
