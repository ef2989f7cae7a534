"""Normalisation and activation layers by config.

They are mmcv's, which imports mmengine's Runner with them; it is imported where a layer is built, so that the package
can be used without one.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn


def build_norm(cfg: Mapping[str, Any], channels: int) -> nn.Module:
    """The normalisation of ``cfg``, such as ``dict(type='BN')``, for so many channels."""
    from mmcv.cnn import build_norm_layer

    return build_norm_layer(dict(cfg), channels)[1]


def build_act(cfg: Mapping[str, Any]) -> nn.Module:
    """The activation of ``cfg``, such as ``dict(type='ReLU')``."""
    from mmcv.cnn import build_activation_layer

    return build_activation_layer(dict(cfg))
