"""The layers of a backbone from the embeddings to the last norm: which one a parameter belongs to."""

import math
from typing import Any

from torch import nn

from skeattn.errors import ConfigError


def layers_of(backbone: Any) -> dict[nn.Parameter, int]:
    """The layer of every parameter by the backbone's ``layer_of(name)``: 0 for embeddings, then 1, 2, …

    Raises:
        ConfigError: the backbone has no ``layer_of``.
    """
    if not hasattr(backbone, 'layer_of'):
        raise ConfigError(
            f'model.backbone: {type(backbone).__name__} defines no layer_of(name), the layer of a parameter; '
            f'SkeletonTransformer does'
        )
    return {parameter: backbone.layer_of(name) for name, parameter in backbone.named_parameters()}


def depths(model: nn.Module) -> dict[nn.Parameter, int]:
    """How many layers below the top of its backbone a parameter lies; of all backbones that define ``layer_of``."""
    below: dict[nn.Parameter, int] = {}
    for backbone in (module for module in model.modules() if hasattr(module, 'layer_of')):
        layers = layers_of(backbone)
        top = max(layers.values())
        below |= {parameter: top - layer for parameter, layer in layers.items()}
    return below


def freeze_lower(backbone: Any, trained: float) -> None:
    """Freeze the embeddings and the lower blocks, so that a share of the blocks, rounded up, is trained.

    Args:
        backbone: with ``layer_of``; its top layer is no block but the last norm, which is always trained.
        trained: share in (0, 1]; 1 freezes nothing.

    Raises:
        ConfigError: the share is outside (0, 1], or the backbone has no ``layer_of``.
    """
    if not 0 < trained <= 1:
        raise ConfigError(f'model.trained={trained!r}, a share of the blocks of the backbone, must lie in (0, 1]')
    layers = layers_of(backbone) if trained < 1 else {}
    blocks = max(layers.values(), default=0) - 1
    for parameter, layer in layers.items():
        if layer <= blocks - math.ceil(blocks * trained):
            parameter.requires_grad_(False)
