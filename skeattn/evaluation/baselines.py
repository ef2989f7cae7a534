"""What a trained encoder has to beat: the coordinates themselves, and the same network untrained."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from torch import nn

from skeattn.evaluation.features import Features, calibrate_bn, extract_features, raw_features
from skeattn.evaluation.result import Outcome

Evaluator = Callable[[Features, Features], dict[str, float]]


def evaluate(evaluator: Evaluator, bank: Features, test: Features) -> Outcome:
    """What an evaluator makes of features, called by all processes.

    One that shares its work (``distributed = True``) runs on all of them, another on the first; its outcome is empty on
    the others. One that has only ``__call__`` has metrics only.
    """
    if not is_main_process() and not getattr(evaluator, 'distributed', False):
        return Outcome({})
    found = getattr(evaluator, 'evaluate', evaluator)(bank, test)
    return found if isinstance(found, Outcome) else Outcome(found)


def judge(evaluators: Mapping[str, Evaluator], bank: Features, test: Features) -> dict[str, float]:
    """The metrics of all evaluators, each under ``name/metric``, in percent; called by all processes.

    They are complete on the first process.
    """
    return flatten({name: evaluate(evaluator, bank, test) for name, evaluator in evaluators.items()})


def flatten(outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """All metrics, each under ``name/metric``."""
    return {f'{name}/{key}': value for name, outcome in outcomes.items() for key, value in outcome.metrics.items()}


def judge_raw(evaluators: Mapping[str, Evaluator], train: Any, test: Any) -> dict[str, float]:
    """Metrics of the coordinates as the pipeline leaves them; ``train`` and ``test`` are datasets."""
    return judge(evaluators, raw_features(train), raw_features(test))


def judge_untrained(
    evaluators: Mapping[str, Evaluator],
    build: Callable[[], nn.Module],
    train: Any,
    test: Any,
    seeds: Sequence[int] = (0, 1, 2),
    batch_size: int = 256,
    source: str = 'backbone',
) -> dict[str, float]:
    """Metrics of a freshly initialised network, mean over seeds, with BatchNorm statistics from the training clips.

    Args:
        evaluators: name -> evaluator.
        build: makes and initialises the network.
        train, test: datasets; ``train`` is the bank.
        seeds: of the initial weights; torch's global random state is as before afterwards.
        batch_size: clips per forward pass.
        source: see :func:`~skeattn.evaluation.features.extract_features`.
    """
    runs = []
    for seed in seeds:
        model = untrained(build, train, seed, batch_size, source)
        bank, queries = (extract_features(model, dataset, batch_size, source) for dataset in (train, test))
        runs.append(judge(evaluators, bank, queries))
    return {key: sum(run[key] for run in runs) / len(runs) for key in runs[0]}


def untrained(
    build: Callable[[], nn.Module], train: Any, seed: int = 0, batch_size: int = 256, source: str = 'backbone'
) -> nn.Module:
    """A freshly initialised network with BatchNorm statistics from the training clips."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build()
    calibrate_bn(model, train, batch_size, source)
    return model
