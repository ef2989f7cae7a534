"""Baselines of a trained encoder: the raw coordinates, and the same network before training."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from skeattn.evaluation.evaluator import Evaluator, evaluate_all
from skeattn.evaluation.features import calibrate_bn, extract_features, raw_features
from skeattn.models.readout import MEAN


def evaluate_raw(evaluators: Mapping[str, Evaluator], train: Any, test: Any, readout: str = MEAN) -> dict[str, float]:
    """Metrics of the coordinates as the pipeline leaves them; ``train`` and ``test`` are data sets.

    Args:
        readout: see :func:`~skeattn.evaluation.features.raw_features`.
    """
    return evaluate_all(evaluators, raw_features(train, readout), raw_features(test, readout))


def evaluate_untrained(
    evaluators: Mapping[str, Evaluator],
    build: Callable[[], nn.Module],
    train: Any,
    test: Any,
    seeds: Sequence[int] = (0, 1, 2),
    batch_size: int = 256,
    source: str = 'backbone',
    autocast: bool = False,
) -> dict[str, float]:
    """Metrics of a freshly initialised network, mean over seeds, with BatchNorm statistics from the training clips.

    Args:
        evaluators: name -> evaluator.
        build: creates and initialises the network.
        train, test: data sets; ``train`` is the bank.
        seeds: of the initial weights; torch's global random state is restored afterwards.
        batch_size: clips per forward pass.
        source, autocast: see :func:`~skeattn.evaluation.features.extract_features`.
    """
    runs = []
    for seed in seeds:
        model = untrained(build, train, seed, batch_size, source)
        bank, queries = (extract_features(model, part, batch_size, source, autocast=autocast) for part in (train, test))
        runs.append(evaluate_all(evaluators, bank, queries))
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
