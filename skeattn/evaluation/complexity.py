"""Cost of an encoder and of a training step: parameters, and multiply-accumulates as torch counts them."""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from skeattn.datasets.native import at_full_length
from skeattn.datasets.sampler import homogeneous
from skeattn.evaluation.features import frozen

CLIPS = 16
"""Number of clips for averaged counts, evenly spaced over the training set: some hold one person, some two."""
# torch's counter has formulas for attention on accelerators alone.
_CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, q, k, v, *_, **__: sdpa_backward_flop_count(grad, q, k, v)
    ),
}


@contextmanager
def counted_work() -> Iterator[FlopCounterMode]:
    """A counter of what runs inside: all matrix products, convolutions and attention, with and without gradients.

    Attention is counted by torch's formula, whose backward pass computes the scores once more. Where no gradient is
    needed, torch runs a whole Transformer layer as one operation without a formula; this is switched off meanwhile.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION) as counter:
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def sample_batch(dataset: Any, clips: int = CLIPS) -> dict[str, Tensor]:
    """A batch of clips evenly spaced over a data set; of several layouts, those of the first."""
    index, *_ = homogeneous(dataset, torch.linspace(0, len(dataset) - 1, clips).long())
    batch: dict[str, Tensor] = dataset.__getitems__(index.tolist())
    return batch


def encoder_cost(model: nn.Module, batch: dict[str, Tensor], source: str = 'backbone') -> dict[str, float]:
    """Cost of features: ``parameters`` on which they depend, ``gmacs`` per clip (10^9 multiply-accumulates).

    Args:
        model: an algorithm; parameters that it does not train count as well.
        batch: clips for the count, as the dataset returns them.
        source: see :func:`~skeattn.evaluation.features.extract_features`.
    """
    weights = [p for p in model.parameters() if p.is_floating_point()]
    with frozen(model), torch.enable_grad(), _requiring_grad(weights):
        with counted_work() as counter:
            total = model.features(batch, source=source).sum()  # type: ignore[operator]
        count = sum(p.numel() for p in _behind(total, weights))
    return {'parameters': count, 'gmacs': _gmacs(counter, len(batch['inputs']))}


def _behind(total: Tensor, weights: list[nn.Parameter]) -> list[nn.Parameter]:
    """The weights on which a sum depends; their gradients stay as they are.

    ``autograd.grad`` would meet the counter's hooks at the weights, which torch 2.4 does not allow.
    """
    kept = [p.grad for p in weights]
    for p in weights:
        p.grad = None
    total.backward()  # type: ignore[no-untyped-call]
    found = [p for p in weights if p.grad is not None]
    for p, grad in zip(weights, kept, strict=True):
        p.grad = grad
    return found


def training_cost(model: nn.Module, batch: dict[str, Tensor]) -> dict[str, float]:
    """Cost of training: trainable ``parameters``, ``gmacs`` per clip of a step, forward and backward, all views.

    The model keeps gradients and staged keys: pass a model that is not used elsewhere.
    """
    with counted_work() as counter:
        _training_step(model, batch)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {'parameters': trainable, 'gmacs': _gmacs(counter, len(batch['inputs']))}


def gmacs_by_module(
    model: nn.Module, batch: dict[str, Tensor], source: str = 'backbone', training: bool = False
) -> dict[str, float]:
    """Work by module: name of a module -> 10^9 multiply-accumulates per clip, with those of its children.

    Args:
        model: an algorithm; after a training step it keeps gradients and staged keys.
        batch: clips for the count.
        source: of the features, if no training step is counted.
        training: count a training step, forward and backward; a module that several views pass is counted for each.

    Returns:
        modules with work, parents before children; ``''`` is the total, which also holds the method's work outside its
        modules.
    """
    root = _Called(model)
    with counted_work() as counter:
        if training:
            root(lambda: _training_step(model, batch))
        else:
            with frozen(model):
                root(lambda: model.features(batch, source=source))  # type: ignore[operator]
    prefix = f'{type(root).__name__}.called.'
    counted: Mapping[str, Mapping[Any, int]] = counter.get_flop_counts()
    flops = {name.removeprefix(prefix): sum(ops.values()) for name, ops in counted.items() if name.startswith(prefix)}
    flops = {name: _sum_of(flops, name) for name, _ in model.named_modules()} | {'': counter.get_total_flops()}
    return {name: value / 2 / len(batch['inputs']) / 1e9 for name, value in flops.items() if value}


class SavedActivations(torch.autograd.graph.saved_tensors_hooks):
    """Counts what autograd holds for the backward passes of the steps inside.

    The count includes the tensors that autograd keeps, each storage once, for as long as it is kept. It excludes
    weights, buffers, gradients, the optimiser's state and the scratch space of operations: it is the part that grows
    with the batch, not the memory that a device reports. The precision is that of the model, float32.

    Args:
        model: the algorithm; its weights and buffers are not counted.

    Attributes:
        peak: bytes held at once, at most.
    """

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


@contextmanager
def _requiring_grad(weights: list[nn.Parameter]) -> Iterator[None]:
    before = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(True)
        yield
    finally:
        for weight, required in zip(weights, before, strict=True):
            weight.requires_grad_(required)


class _Kept:
    """A saved tensor; it lives as long as the graph needs it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class _Called(nn.Module):
    """The counter sees only modules that are called; an algorithm's ``features`` is no such call."""

    def __init__(self, called: nn.Module) -> None:
        super().__init__()
        self.called = called

    def forward(self, work: Callable[[], object]) -> object:
        return work()


def _sum_of(flops: Mapping[str, int], name: str) -> int:
    """A module's own count; that of its children if it is only a container and never called."""
    if name in flops:
        return flops[name]
    inside = [key for key in flops if key.startswith(f'{name}.')]
    topmost = [key for key in inside if not any(key.startswith(f'{other}.') for other in inside)]
    return sum(flops[key] for key in topmost)


def _training_step(model: Any, batch: dict[str, Tensor]) -> None:
    """Views, losses and gradients of a batch."""
    model.train()
    model.data_preprocessor.begin_iteration(0, 0)
    if getattr(model.data_preprocessor, 'reads_native', False):
        batch = at_full_length(batch)
    losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
    model.parse_losses(losses)[0].backward()


def _gmacs(counter: FlopCounterMode, clips: int) -> float:
    return counter.get_total_flops() / 2 / clips / 1e9
