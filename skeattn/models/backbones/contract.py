"""The contract of every backbone, checked on one short clip when an encoder is built."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.models.joint_names import are_several, read_layout
from skeattn.skeletons import SkeletonLayout, get_layout

_REQUIRED = {
    'out_channels': "C', the channels of its map",
    'temporal_stride': 'the frames per row of its map',
}


@torch.no_grad()
def check_backbone(backbone: Any, layout: str | SkeletonLayout | Sequence[str], in_channels: int = 3) -> bool:
    """Check a backbone against the contract of docs/backbones.md before training starts.

    A copy of it reads one clip of zeros ``(1, M, C, 3 * temporal_stride, V)`` in eval mode; torch's random state is
    unchanged. M is the backbone's ``num_persons`` if it has one, else 2.

    Args:
        backbone: the module, as built.
        layout: layout of the clips; of several the first is read.
        in_channels: C, values per joint.

    Returns:
        Whether the backbone reads the persons of a clip together: M' = 1 for several persons.

    Raises:
        ConfigError: ``out_channels`` or ``temporal_stride`` is missing, its ``forward`` fails, or the map does not
            have the required shape.
    """
    name = type(backbone).__name__
    for attribute, meaning in _REQUIRED.items():
        value = getattr(backbone, attribute, None)
        if not isinstance(value, int) or value < 1:
            raise ConfigError(
                f'model.backbone: {name} needs the attribute {attribute!r}, a whole number ({meaning}); it has '
                f'{value!r}. Set self.{attribute} in its __init__'
            )
    read = get_layout(layout[0] if are_several(layout) else layout)
    M, T, V = getattr(backbone, 'num_persons', 2), 3 * backbone.temporal_stride, read.num_joints
    reader = copy.deepcopy(backbone).eval()
    read_layout(reader, read)
    clip = torch.zeros(1, M, in_channels, T, V)
    try:
        with torch.random.fork_rng(devices=[]):
            output = reader(clip)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f'model.backbone: {name} fails on clips (N, M, C, T, V) = {tuple(clip.shape)} with {type(error).__name__}: '
            f'{error}. Call it on torch.zeros{tuple(clip.shape)} to see where'
        ) from error
    shape = tuple(output.shape) if isinstance(output, Tensor) else ()
    allowed = ((1,), (1, M), (backbone.out_channels,), (3,), (1, V))
    if len(shape) != 5 or any(size not in sizes for size, sizes in zip(shape, allowed, strict=True)):
        expected = f'(1, {_or_one(M)}, {backbone.out_channels}, 3, {_or_one(V)})'
        raise ConfigError(
            f'model.backbone: {name} returns {shape or type(output).__name__} for clips (N, M, C, T, V) = '
            f"{tuple(clip.shape)}; expected a map (N, M', C', T', V') = {expected}: C' = out_channels, "
            f"T' = ceil(T / temporal_stride) with temporal_stride={backbone.temporal_stride}, M' or V' = 1 where it "
            f'reads the persons or the joints together'
        )
    return shape[1] < M


def _or_one(size: int) -> str:
    return '1' if size == 1 else f'{size} or 1'
