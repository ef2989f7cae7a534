"""What an encoder and a training step cost: parameters, and multiply-accumulates as torch counts them."""

import weakref
from collections import Counter
from collections.abc import Callable, Mapping
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
    # With gradients: without them torch takes fused paths, whose work the counter does not see.
    with frozen(model), torch.enable_grad():
        with FlopCounterMode(display=False) as counter:
            total = model.features(batch, source=source).sum()  # type: ignore[operator]
        weights = [p for p in model.parameters() if p.requires_grad]
        used = torch.autograd.grad(total, weights, allow_unused=True)
    count = sum(p.numel() for p, grad in zip(weights, used, strict=True) if grad is not None)
    return {'parameters': count, 'gmacs': _gmacs(counter, len(batch['inputs']))}


def training_cost(model: nn.Module, batch: dict[str, Tensor]) -> dict[str, float]:
    """Cost of training: ``parameters`` that learn, ``gmacs`` per clip of a step, forward and backward, all views.

    The model is left with gradients and staged keys: hand in one that nobody else needs.
    """
    with FlopCounterMode(display=False) as counter:
        _training_step(model, batch)
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {'parameters': learnt, 'gmacs': _gmacs(counter, len(batch['inputs']))}


def gmacs_by_module(
    model: nn.Module, batch: dict[str, Tensor], source: str = 'backbone', training: bool = False
) -> dict[str, float]:
    """Where the work is: name of a module -> 10^9 multiply-accumulates per clip, its children's included.

    Args:
        model: an algorithm; after a training step it is left with gradients and staged keys.
        batch: clips to count on.
        source: of the features, where no training step is counted.
        training: count a training step, forward and backward; a module that several views pass is counted for each.

    Returns:
        modules that work, parents before children; ``''`` is the whole, which exceeds the sum of the parts by what the
        method computes outside its modules.
    """
    root = _Called(model)
    with FlopCounterMode(display=False) as counter:
        if training:
            root(lambda: _training_step(model, batch))
        else:
            with frozen(model), torch.enable_grad():  # see encoder_cost
                root(lambda: model.features(batch, source=source))  # type: ignore[operator]
    prefix = f'{type(root).__name__}.called.'
    counted: Mapping[str, Mapping[Any, int]] = counter.get_flop_counts()
    flops = {name.removeprefix(prefix): sum(ops.values()) for name, ops in counted.items() if name.startswith(prefix)}
    flops = {name: _sum_of(flops, name) for name, _ in model.named_modules()} | {'': counter.get_total_flops()}
    return {name: value / 2 / len(batch['inputs']) / 1e9 for name, value in flops.items() if value}


def saved_activations(model: nn.Module, batch: dict[str, Tensor]) -> int:
    """Bytes of activations that a training step holds for its backward pass, at their peak.

    Counted are the tensors that autograd keeps, each storage once, for as long as it is kept; weights and buffers are
    not. What an operation needs only while it runs, gradients, and the optimiser's state come on top: this is what
    grows with the batch, not what a device will report. Counted in the precision that the model computes in, float32.

    The model is left with gradients and staged keys: hand in one that nobody else needs.
    """
    saved = _Saved(model)
    with saved:
        _training_step(model, batch)
    return saved.peak


class _Saved(torch.autograd.graph.saved_tensors_hooks):
    """Keeps count of the storages that autograd saves."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(self._pack, lambda kept: kept.tensor)
        self.own = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
        self.held: Counter[int] = Counter()
        self.now = self.peak = 0

    def _pack(self, tensor: Tensor) -> '_Kept':
        kept, storage = _Kept(tensor), tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if place not in self.own:
            self.held[place] += 1
            if self.held[place] == 1:
                self.now += size
                self.peak = max(self.peak, self.now)
            weakref.finalize(kept, self._release, place, size)
        return kept

    def _release(self, place: int, size: int) -> None:
        self.held[place] -= 1
        if not self.held[place]:
            self.now -= size


class _Kept:
    """A saved tensor, for as long as the graph needs it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class _Called(nn.Module):
    """Counts happen below modules that are called; an algorithm's ``features`` is no such call."""

    def __init__(self, called: nn.Module) -> None:
        super().__init__()
        self.called = called

    def forward(self, work: Callable[[], object]) -> object:
        return work()


def _sum_of(flops: Mapping[str, int], name: str) -> int:
    """A module's own count; that of its children where it is only a container and never called."""
    if name in flops:
        return flops[name]
    inside = [key for key in flops if key.startswith(f'{name}.')]
    topmost = [key for key in inside if not any(key.startswith(f'{other}.') for other in inside)]
    return sum(flops[key] for key in topmost)


def _training_step(model: Any, batch: dict[str, Tensor]) -> None:
    """Views, losses and gradients of a batch."""
    model.train()
    model.data_preprocessor.begin_iteration(0, 0)
    losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
    model.parse_losses(losses)[0].backward()


def _gmacs(counter: FlopCounterMode, clips: int) -> float:
    return counter.get_total_flops() / 2 / clips / 1e9
