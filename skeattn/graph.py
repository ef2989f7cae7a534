"""Adjacency tensors of a skeleton, derived from its layout."""

import numpy as np

from skeattn.errors import ConfigError
from skeattn.skeletons import SkeletonLayout, get_layout


def adjacency(layout: str | SkeletonLayout, strategy: str = 'agcn') -> np.ndarray:
    """Adjacency of a graph convolution.

    ``A[k, v, w]`` is the weight of source joint v in target joint w; columns are normalised.

    Args:
        layout: a layout or its name.
        strategy: ``'agcn'`` (2s-AGCN: self, inward, outward; used by SkeAttnCLR and SkeleMixCLR) or ``'spatial'``
            (ST-GCN's partition with its 1-hop distances; used by CrosSCLR, AimCLR and HiCLR).

    Returns:
        float64 array of shape ``(K, V, V)``.

    Raises:
        ConfigError: unknown layout or strategy.
    """
    if strategy not in _STRATEGIES:
        raise ConfigError(f'model.backbone.graph={strategy!r} is unknown; choose {" or ".join(_STRATEGIES)}')
    return _STRATEGIES[strategy](get_layout(layout))


def _agcn(layout: SkeletonLayout) -> np.ndarray:
    inward = np.zeros((layout.num_joints,) * 2)
    for child, parent in layout.bones:
        inward[parent, child] = 1
    return np.stack([np.eye(layout.num_joints), _normalise_columns(inward), _normalise_columns(inward.T)])


def _spatial(layout: SkeletonLayout) -> np.ndarray:
    V = layout.num_joints
    link = np.eye(V)
    for child, parent in layout.bones:
        link[child, parent] = link[parent, child] = 1
    # The release measures hops only up to 1, so every joint not next to the root counts as equally (infinitely) far
    # and nearly all edges are in the second subset (mmskeleton issue 367). Kept: published numbers depend on it.
    hops = np.where(link[layout.root] > 0, 1.0, np.inf)
    hops[layout.root] = 0
    source, target = hops[:, None], hops[None, :]
    A = _normalise_columns(link)
    diagonal = np.eye(V, dtype=bool)
    return np.stack([A * diagonal, A * (~diagonal & (source >= target)), A * (~diagonal & (source < target))])


def _normalise_columns(A: np.ndarray) -> np.ndarray:
    return A / np.maximum(A.sum(axis=0, keepdims=True), 1)


_STRATEGIES = {'agcn': _agcn, 'spatial': _spatial}
