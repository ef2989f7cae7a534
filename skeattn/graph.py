"""Adjacency tensors of a skeleton, derived from its layout."""

import numpy as np

from skeattn.errors import ConfigError
from skeattn.skeletons import SkeletonLayout, get_layout


def adjacency(layout: str | SkeletonLayout, strategy: str = 'agcn') -> np.ndarray:
    """The graph convolution's adjacency.

    ``A[k, v, w]`` multiplies source joint v into target joint w; columns are normalised.

    Args:
        layout: a layout or its name.
        strategy: ``'agcn'`` (2s-AGCN: self, inward, outward; what SkeAttnCLR and SkeleMixCLR ran) or ``'spatial'``
            (ST-GCN's partition with its 1-hop distances; what CrosSCLR, AimCLR and HiCLR ran).

    Returns:
        float64 array of shape ``(K, V, V)``.

    Raises:
        ConfigError: unknown layout or strategy.
    """
    if strategy not in _STRATEGIES:
        raise ConfigError(f'model.backbone.graph={strategy!r} is no graph strategy; choose {" or ".join(_STRATEGIES)}')
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
    # and nearly all edges land in the second subset (mmskeleton issue 367). Kept: published numbers stand on it.
    hops = np.where(link[layout.root] > 0, 1.0, np.inf)
    hops[layout.root] = 0
    source, target = hops[:, None], hops[None, :]
    A = _normalise_columns(link)
    itself = np.eye(V, dtype=bool)
    return np.stack([A * itself, A * (~itself & (source >= target)), A * (~itself & (source < target))])


def _normalise_columns(A: np.ndarray) -> np.ndarray:
    return A / np.maximum(A.sum(axis=0, keepdims=True), 1)


_STRATEGIES = {'agcn': _agcn, 'spatial': _spatial}
