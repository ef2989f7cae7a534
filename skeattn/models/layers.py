"""Normalisation and activation layers by config, and attention.

The layers are mmcv's, whose import loads mmengine's Runner. mmcv is imported only where a layer is built, so that the
package can be used without a Runner.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def build_norm(cfg: Mapping[str, Any], channels: int) -> nn.Module:
    """The normalisation of ``cfg``, such as ``dict(type='BN')``, for a number of channels."""
    from mmcv.cnn import build_norm_layer

    return build_norm_layer(dict(cfg), channels)[1]


def build_act(cfg: Mapping[str, Any]) -> nn.Module:
    """The activation of ``cfg``, such as ``dict(type='ReLU')``."""
    from mmcv.cnn import build_activation_layer

    return build_activation_layer(dict(cfg))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Fused attention; on the CPU in single precision, where its bfloat16 backward pass is several times slower.

    Args:
        q, k, v: ``(B, heads, L, D / heads)``.
    """
    if q.device.type != 'cpu' or q.dtype != torch.bfloat16:
        return scaled_dot_product_attention(q, k, v)
    with torch.autocast('cpu', enabled=False):
        return scaled_dot_product_attention(q.float(), k.float(), v.float())
