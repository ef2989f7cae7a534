"""What a training resumes from beside its weights: the types and ranges of the values in a checkpoint."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError
from torch import Tensor


class _Meta(BaseModel):
    epoch: NonNegativeInt
    iter: NonNegativeInt
    cfg: str = ''
    seed: int | None = None
    iterations_per_epoch: PositiveInt | None = None
    world_size: PositiveInt | None = None


class _Scalar(BaseModel):
    values: list[float]
    counts: list[float]


class _Hub(BaseModel):
    log_scalars: dict[str, _Scalar]
    runtime_info: dict[str, Any]


class _Optimizer(BaseModel):
    state: dict[Any, Any]
    param_groups: list[dict[str, Any]]


class _Pending(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    micro_batches: PositiveInt
    gradients: dict[str, list[Tensor]]
    keys: list[list[Tensor]]
    ids: list[list[Tensor]] = []
    batches_since_update: NonNegativeInt | None = None


class _Unfinished(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    losses: list[Tensor]


class _Process(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    scalars: dict[str, _Scalar]
    statistics: Tensor


class _TrainingState(BaseModel):
    """Parts that are absent are reported where they are needed."""

    meta: _Meta
    message_hub: _Hub | None = None
    optimizer: _Optimizer | dict[str, _Optimizer]
    param_schedulers: list[dict[str, Any]] | None = None
    pending: _Pending | None = None
    unfinished: _Unfinished | None = None
    processes: list[_Process] | None = None


def training_state_fault(checkpoint: Mapping[str, Any]) -> str | None:
    """The first value of a checkpoint that no training writes there, and what is wrong with it; None without fault."""
    try:
        _TrainingState.model_validate({'meta': {}, **checkpoint}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = [str(key) for key in first['loc'] if not str(key).startswith(('_', 'dict['))]  # names of types
        return f'{".".join(place)}: {first["msg"]}'
    return None
