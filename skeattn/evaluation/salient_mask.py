"""The salient mask of a network's attention, by person, frame and joint."""

from typing import Any

from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.evaluation.features import frozen


def has_mask(model: Any) -> bool:
    """Whether a method has a mask."""
    return hasattr(model, 'salient_mask')


def check_mask(model: Any) -> None:
    """Refuse a model without a mask.

    Raises:
        ConfigError: it has none.
    """
    if not has_mask(model):
        raise ConfigError(f'{type(model).__name__} has no salient mask; choose a config or a checkpoint of SkeAttnCLR')


def salient_mask(model: Any, data: dict[str, Tensor]) -> Tensor:
    """The mask of a batch, mean over channels: ``(N, M, T', V)`` float32 on the CPU, values in (0, 1).

    Args:
        model: an algorithm with ``salient_mask(data)``.
        data: a batch of N clips; T' rows of the map cover their T frames equally.

    Raises:
        ConfigError: the model has no mask.
    """
    check_mask(model)
    with frozen(model):
        mask: Tensor = model.salient_mask(data)
    return mask.float().cpu()
