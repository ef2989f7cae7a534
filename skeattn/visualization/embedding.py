"""A map of features: t-SNE, UMAP or PCA, coloured by class."""

import importlib.util
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.features import Features
from skeattn.visualization.style import class_style, look, save

METHODS = ('tsne', 'umap', 'pca')


def project(x: np.ndarray, seed: int = 0, perplexity: float = 30.0, method: str = 'tsne') -> np.ndarray:
    """A map of (N, D) features by cosine similarity: (N, 2), the same for the same seed.

    Features are scaled to unit length, as KNN sees them, and reduced to at most 50 principal components first.

    Args:
        x: the features.
        seed: of t-SNE and UMAP.
        perplexity: of t-SNE.
        method: ``'tsne'``, ``'umap'`` (needs the package umap-learn) or ``'pca'``, the first two components.

    Raises:
        DataError: fewer than four clips, or features of less than two dimensions.
        ConfigError: an unknown method, or UMAP without its package.
    """
    check_method(method)
    if len(x) < 4:
        raise DataError(f'an embedding map needs at least 4 clips, not {len(x)}')
    if x.shape[1] < 2:
        raise DataError('an embedding map needs features of at least 2 dimensions')
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    components = 2 if method == 'pca' else min(50, *x.shape)
    x = PCA(components, svd_solver='full' if min(x.shape) < 2000 else 'covariance_eigh').fit_transform(x)
    if method == 'tsne':
        tsne = TSNE(perplexity=min(perplexity, (len(x) - 1) / 3), init='pca', random_state=seed, n_jobs=1)
        x = tsne.fit_transform(x)
    elif method == 'umap':
        x = _umap(x, seed)
    return np.asarray(x)


def check_method(method: str) -> None:
    """Say before any work that a method is unknown or cannot run here.

    Raises:
        ConfigError: it is no :data:`METHODS`, or UMAP without its package.
    """
    if method not in METHODS:
        raise ConfigError(f'no embedding method {method!r}; there are {", ".join(METHODS)}')
    if method == 'umap' and importlib.util.find_spec('umap') is None:
        raise ConfigError('UMAP needs the package umap-learn: pip install umap-learn; or take tsne or pca')


def _umap(x: np.ndarray, seed: int) -> np.ndarray:
    from umap import UMAP  # optional, and slow to import

    return np.asarray(UMAP(n_neighbors=min(15, len(x) - 1), random_state=seed, n_jobs=1).fit_transform(x))


def evenly(N: int, limit: int) -> np.ndarray:
    """At most ``limit`` of the indices 0..N-1, evenly spaced."""
    return np.unique(np.linspace(0, N - 1, min(limit, N)).round().astype(int))


def draw_embedding(
    panels: Mapping[str, Features],
    classes: Sequence[str],
    path: str | os.PathLike[str],
    title: str = '',
    seed: int = 0,
    limit: int = 2000,
    method: str = 'tsne',
    colour: str = 'class',
) -> Path:
    """Draw maps of features side by side.

    Args:
        panels: title -> features of the clips to show; above ``limit`` an evenly spaced part of them.
        classes: class names, for the legend.
        path: PNG to write.
        title: above all panels.
        seed: of the map.
        limit: most clips in a panel.
        method: of :func:`project`.
        colour: what labels and ``classes`` are, above the legend.
    """
    maps = {}
    for name, features in panels.items():
        chosen = evenly(len(features), limit)
        maps[name] = project(features.x.numpy()[chosen], seed, method=method), features.labels.numpy()[chosen]
    return draw_maps(maps, classes, path, title, colour)


def draw_maps(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    classes: Sequence[str],
    path: str | os.PathLike[str],
    title: str = '',
    heading: str = 'class',
) -> Path:
    """Draw maps side by side: title -> points (N, 2) and their labels (N,).

    The rest is as in :func:`draw_embedding`; ``heading`` stands above the legend.
    """
    with look():
        columns = 2 if len(panels) == 4 else min(len(panels), 3)
        rows = math.ceil(len(panels) / columns)
        figure = Figure(figsize=(4.2 * columns + 2.4, 3.9 * rows + 0.7), layout='constrained')
        axes = figure.subplots(rows, columns, squeeze=False)
        for ax in axes.flat[len(panels) :]:
            ax.set_visible(False)
        for ax, (name, (points, labels)) in zip(axes.flat, panels.items(), strict=False):
            _scatter(ax, points, labels)
            ax.set_title(name)
        handles = []
        for i, label in enumerate(classes):
            colour, marker = class_style(i)
            handles.append(
                Line2D([], [], color=colour, marker=marker, linestyle='', markersize=8, label=label.replace('_', ' '))
            )
        figure.legend(
            handles=handles, loc='outside right center', ncols=math.ceil(len(classes) / 22), title=heading,
            title_fontproperties={'weight': 'bold'}, alignment='left',
        )  # fmt: skip
        if title:
            figure.suptitle(title, fontsize=14)
        return save(figure, path)


def _scatter(ax: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    for label in np.unique(labels):
        colour, marker = class_style(int(label))
        here = points[labels == label]
        ax.scatter(
            here[:, 0], here[:, 1], s=30, c=colour, marker=marker, alpha=0.85, linewidths=0.3, edgecolors='white'
        )
    ax.set(xticks=[], yticks=[])  # neither axis of such a map has a unit
    ax.margins(0.04)
    for spine in ax.spines.values():
        spine.set(visible=True, color='#CCCCCC')
