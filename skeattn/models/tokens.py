"""Clips as tokens, the mask and the targets of masked modelling: pure functions.

A token is a joint in a patch of u frames; of ``T' = ceil(T / u)`` patches, joint v of patch t' is token ``t' V + v`` of
``L = T' V``. Persons are rows, ``(B, C, T, V)``.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import instance_norm, layer_norm, pad

EPS = 1e-6
_TINY = 1e-10


def patchify(x: Tensor, patch: int) -> Tensor:
    """Values of every token, ``(B, C, T, V)`` -> ``(B, L, u C)``, by frame, then by coordinate.

    A last patch that is too short repeats the last frame, as in the encoder.
    """
    x = pad(x, (0, 0, 0, -x.shape[2] % patch), mode='replicate')
    return x.unflatten(2, (-1, patch)).permute(0, 2, 4, 3, 1).flatten(3).flatten(1, 2)


def motion(x: Tensor, seen: Tensor | None = None) -> Tensor:
    """Difference of each frame to the next, 0 in the last one, ``(B, C, T, V)``.

    Args:
        x: ``(B, C, T, V)``.
        seen: which joints were, bool ``(B, T, V)``; a joint that is missing in one of the frames has difference 0.
    """
    difference = x.diff(dim=2)
    if seen is not None:
        difference = difference * (seen[:, None, 1:] & seen[:, None, :-1])
    return pad(difference, (0, 0, 0, 1))


def motion_intensity(patches: Tensor, joints: int, seen: Tensor | None = None) -> Tensor:
    """Mean absolute difference of each token to its joint's previous patch, ``(B, L, P)`` -> ``(B, L)``.

    The first patch has the value of the second; of a single patch it is 0.

    Args:
        patches: values of the tokens.
        joints: V.
        seen: 1 for the values of joints that were seen, ``(B, L, P)``; those with 0 have no difference.
    """
    rows = patches.unflatten(1, (-1, joints))
    if rows.shape[1] == 1:
        return torch.zeros_like(patches[:, :, 0])
    difference = rows.diff(dim=1).abs()
    if seen is not None:
        marks = seen.unflatten(1, (-1, joints))
        difference = difference * marks[:, 1:] * marks[:, :-1]
    intensity = difference.mean(dim=3)
    return torch.cat([intensity[:, :1], intensity], dim=1).flatten(1)


def motion_aware_noise(intensity: Tensor, uniform: Tensor, tau: float) -> Tensor:
    """Gumbel noise on the log probabilities ``softmax(I / (tau max I))`` (MAMP's mask).

    Where it is greatest, tokens are masked: without replacement, with these probabilities.

    Args:
        intensity: I, ``(B, L)``. Where it is 0 throughout, as for an absent person, all tokens are alike.
        uniform: numbers in [0, 1), ``(B, L)``.
        tau: temperature; the greater, the more uniform is the mask.

    Returns:
        ``(B, L)``.
    """
    scaled = intensity / (tau * intensity.amax(dim=1, keepdim=True) + _TINY)
    return scaled.log_softmax(dim=1) - torch.log(-torch.log(uniform + _TINY) + _TINY)


def num_visible(tokens: int, mask_ratio: float) -> int:
    """The number of tokens that stay, ``int(L (1 - ratio))`` in floating point: 74 of 750 at 0.9, as released."""
    return int(tokens * (1 - mask_ratio))


def least(noise: Tensor, count: int) -> Tensor:
    """The ``count`` tokens with the least noise ``(B, L)``, in ascending order: indices ``(B, count)``."""
    return noise.topk(count, dim=1, largest=False).indices


def in_tubes(values: Tensor, tube: int, joints: int) -> Tensor:
    """Values of tokens ``(B, L)`` by tubes of successive patches of a joint, ``(B, L / tube, tube)``.

    Joint v of the s-th tube of patches is tube ``s V + v``.
    """
    return values.unflatten(1, (-1, tube, joints)).transpose(2, 3).flatten(1, 2)


def tokens_of_tubes(indices: Tensor, tube: int, joints: int) -> Tensor:
    """The tokens of tubes, see :func:`in_tubes`: indices ``(B, n)`` -> ``(B, n * tube)``."""
    if tube == 1:
        return indices
    first = torch.div(indices, joints, rounding_mode='floor') * (tube * joints) + indices % joints
    return (first[:, :, None] + joints * torch.arange(tube, device=indices.device)).flatten(1)


def take(tokens: Tensor, indices: Tensor) -> Tensor:
    """Some tokens of each row: ``(B, L, D)``, indices ``(B, L')`` -> ``(B, L', D)``."""
    return tokens.gather(1, indices[:, :, None].expand(-1, -1, tokens.shape[2]))


def patch_normalised(patches: Tensor) -> Tensor:
    """Each token's values less their mean, over ``sqrt(var + 1e-6)``, the variance unbiased (MAMP, MAE)."""
    var, mean = torch.var_mean(patches, dim=2, keepdim=True)
    return (patches - mean) / (var + EPS).sqrt()


def time_normalised(x: Tensor) -> Tensor:
    """Each coordinate of each joint less its mean over time, over ``sqrt(var + 1e-6)``, ``(B, C, T, V)`` (NAT).

    The variance is unbiased. There is no code of NAT; the axis is stated in the paper, the rest is as in MAMP.
    """
    var, mean = torch.var_mean(x, dim=2, keepdim=True)
    return (x - mean) / (var + EPS).sqrt()


def latent_target(backbone: Any, x: Tensor) -> Tensor:
    """What all layers of an encoder make of all tokens, ``(B, C, T, V)`` -> ``(B, L, D)`` (data2vec, Skeleton2vec).

    The output of each layer is normalised over the tokens, for each channel; the mean over the layers is normalised
    over the channels. Neither norm has weights.

    Args:
        backbone: a :class:`~skeattn.models.backbones.SkeletonTransformer`.
        x: persons.
    """
    tokens = backbone.tokens(x[:, None])
    total = torch.zeros_like(tokens)
    for layer in backbone.layers:
        tokens = layer(tokens)
        total = total + instance_norm(tokens.transpose(1, 2)).transpose(1, 2)
    return layer_norm(total / len(backbone.layers), total.shape[2:])
