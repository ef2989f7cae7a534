"""What an encoder and a training step cost: parameters, and multiply-accumulates as torch counts them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from skeattn.evaluation.features import frozen

CLIPS = 16
"""Clips that the counts are averaged over, evenly spaced over the training set: some hold one person, some two."""


def sample_batch(dataset: Any, clips: int = CLIPS) -> dict[str, Tensor]:
    """A batch of clips evenly spaced over a data set."""
    chosen: dict[str, Tensor] = dataset.__getitems__(torch.linspace(0, len(dataset) - 1, clips).long().tolist())
    return chosen


def encoder_cost(model: nn.Module, batch: dict[str, Tensor], source: str = 'backbone') -> dict[str, float]:
    """Cost of features: ``parameters`` that they depend on, ``gmacs`` per clip (10^9 multiply-accumulates).

    Args:
        model: an algorithm.
        batch: clips to count on, as the dataset hands them out.
        source: see :func:`~skeattn.evaluation.features.extract_features`.
    """
    with frozen(model), FlopCounterMode(display=False) as counter:
        model.features(batch, source=source)  # type: ignore[operator]
    with frozen(model), torch.enable_grad():
        total = model.features(batch, source=source).sum()  # type: ignore[operator]
        weights = [p for p in model.parameters() if p.requires_grad]
        used = torch.autograd.grad(total, weights, allow_unused=True)
    count = sum(p.numel() for p, grad in zip(weights, used, strict=True) if grad is not None)
    return {'parameters': count, 'gmacs': _gmacs(counter, len(batch['inputs']))}


def training_cost(model: nn.Module, batch: dict[str, Tensor]) -> dict[str, float]:
    """Cost of training: ``parameters`` that learn, ``gmacs`` per clip of a step, forward and backward, all views.

    The model is left with gradients and staged keys: hand in one that nobody else needs.
    """
    model.train()
    model.data_preprocessor.begin_iteration(0, 0)  # type: ignore[union-attr, operator]
    with FlopCounterMode(display=False) as counter:
        losses = model(**model.data_preprocessor(batch, training=True), mode='loss')  # type: ignore[operator]
        model.parse_losses(losses)[0].backward()  # type: ignore[operator]
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {'parameters': learnt, 'gmacs': _gmacs(counter, len(batch['inputs']))}


def _gmacs(counter: FlopCounterMode, clips: int) -> float:
    return counter.get_total_flops() / 2 / clips / 1e9
