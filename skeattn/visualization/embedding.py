"""A map of features: t-SNE, coloured by class."""

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

from skeattn.errors import DataError
from skeattn.evaluation.features import Features
from skeattn.visualization.style import class_style, look, save


def project(x: np.ndarray, seed: int = 0, perplexity: float = 30.0) -> np.ndarray:
    """t-SNE of (N, D) features by cosine similarity: (N, 2), the same for the same seed.

    Features are scaled to unit length, as KNN sees them, and reduced to at most 50 principal components first.

    Raises:
        DataError: fewer than four clips.
    """
    if len(x) < 4:
        raise DataError(f'an embedding map needs at least 4 clips, not {len(x)}')
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    components = min(50, *x.shape)
    x = PCA(components, svd_solver='full' if min(x.shape) < 2000 else 'covariance_eigh').fit_transform(x)
    tsne = TSNE(perplexity=min(perplexity, (len(x) - 1) / 3), init='pca', random_state=seed, n_jobs=1)
    return np.asarray(tsne.fit_transform(x))


def draw_embedding(
    panels: Mapping[str, Features],
    classes: Sequence[str],
    path: str | os.PathLike[str],
    title: str = '',
    seed: int = 0,
    limit: int = 2000,
) -> Path:
    """Draw maps side by side.

    Args:
        panels: title -> features of the clips to show; above ``limit`` an evenly spaced part of them.
        classes: class names, for the legend.
        path: PNG to write.
        title: above all panels.
        seed: of t-SNE.
        limit: most clips in a panel.
    """
    with look():
        columns = 2 if len(panels) == 4 else min(len(panels), 3)
        rows = math.ceil(len(panels) / columns)
        figure = Figure(figsize=(4.2 * columns + 2.4, 3.9 * rows + 0.7), layout='constrained')
        axes = figure.subplots(rows, columns, squeeze=False)
        for ax in axes.flat[len(panels) :]:
            ax.set_visible(False)
        for ax, (name, features) in zip(axes.flat, panels.items(), strict=False):
            chosen = np.unique(np.linspace(0, len(features) - 1, min(limit, len(features))).round().astype(int))
            _scatter(ax, project(features.x.numpy()[chosen], seed), features.labels.numpy()[chosen])
            ax.set_title(name)
        handles = []
        for i, label in enumerate(classes):
            colour, marker = class_style(i)
            handles.append(
                Line2D([], [], color=colour, marker=marker, linestyle='', markersize=8, label=label.replace('_', ' '))
            )
        figure.legend(
            handles=handles, loc='outside right center', ncols=math.ceil(len(classes) / 22), title='class',
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
    ax.set(xticks=[], yticks=[])  # neither axis of a t-SNE map has a unit
    ax.margins(0.04)
    for spine in ax.spines.values():
        spine.set(visible=True, color='#CCCCCC')
