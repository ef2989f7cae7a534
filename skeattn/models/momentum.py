"""The momentum (key) encoder: its copy, its update, its schedule. A hook decides when it is updated."""

import copy
import math
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

ModuleT = TypeVar('ModuleT', bound=nn.Module)


def key_copy(query: ModuleT) -> ModuleT:
    """A key encoder: a copy of the query encoder that receives no gradient."""
    return copy.deepcopy(query).requires_grad_(False)


@torch.no_grad()
def load_query(key: nn.Module, query: nn.Module) -> None:
    """Make the key encoder equal to the query encoder, buffers included."""
    key.load_state_dict(query.state_dict())


def pairs_of(model: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """The pairs (query, key) of a method; empty for one without, or that does not list them."""
    pairs = getattr(model, 'momentum_pairs', None)
    try:
        return [] if pairs is None else list(pairs())
    except NotImplementedError:
        return []


def complete_pairs(model: nn.Module, loaded: Iterable[str]) -> None:
    """Copy the module of each pair that was loaded to the one that was not, as at the start of a training.

    Args:
        model: the method.
        loaded: names of the tensors that were loaded.
    """
    names = {module: f'{name}.' for name, module in model.named_modules()}
    loaded = list(loaded)
    for query, key in pairs_of(model):
        has_query, has_key = (any(name.startswith(names[one]) for name in loaded) for one in (query, key))
        if has_query != has_key:
            load_query(*((key, query) if has_query else (query, key)))


def has_key_encoder(model: nn.Module) -> bool:
    """Whether a method, as configured, has a key encoder that MomentumUpdateHook must advance."""
    return hasattr(model, 'update_key_encoder') and getattr(model, 'has_key_encoder', True)


def momentum_update(key: nn.Module, query: nn.Module, momentum: float, buffers: bool = True) -> None:
    """``key <- momentum * key + (1 - momentum) * query``.

    Args:
        key, query: modules of equal structure.
        momentum: M in [0, 1].
        buffers: also average floating-point buffers (BN statistics) and copy integer ones (SkeAttnCLR); otherwise
            parameters alone (the MoCo-style methods).
    """
    MomentumUpdate(key, query)(momentum, buffers)


class MomentumUpdate:
    """:func:`momentum_update` of two modules, whose tensors are collected once rather than in every step.

    Args:
        key, query: modules of equal structure. Their parameters and buffers may change in value alone: after a module
            has moved to another device, a new object is needed.
    """

    def __init__(self, key: nn.Module, query: nn.Module) -> None:
        parameters: list[tuple[Tensor, Tensor]] = list(zip(key.parameters(), query.parameters(), strict=True))
        buffers = list(zip(key.buffers(), query.buffers(), strict=True))
        statistics = [(k, q) for k, q in buffers if k.is_floating_point()]
        self._averaged = {False: _columns(parameters), True: _columns(parameters + statistics)}
        self._counted = _columns([(k, q) for k, q in buffers if not k.is_floating_point()])

    @torch.no_grad()
    def __call__(self, momentum: float, buffers: bool = True) -> None:
        """Update the key module; see :func:`momentum_update`."""
        keys, queries = self._averaged[buffers]
        torch._foreach_mul_(keys, momentum)
        torch._foreach_add_(keys, queries, alpha=1 - momentum)
        if buffers and self._counted[0]:
            torch._foreach_copy_(*self._counted)


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [k for k, _ in pairs], [q for _, q in pairs]


def linear_momentum(step: int, total: int, base: float) -> float:
    """``M = M0 + (1 - M0) it / it_max``, as in data2vec: from ``base`` at step 0 to 1 at step ``total``."""
    return base + (1 - base) * step / total


def cosine_momentum(step: int, total: int, base: float) -> float:
    """``M = 1 - (1 - M0)(cos(pi * it / it_max) + 1) / 2``: from ``base`` at step 0 to 1 at step ``total``."""
    return 1 - (1 - base) * (math.cos(math.pi * step / total) + 1) / 2
