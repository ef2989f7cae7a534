"""Maps of features, coloured by class."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from skeattn.evaluation.embedding_map import evenly, project
from skeattn.evaluation.features import Features
from skeattn.visualization.style import class_style, look, save


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
        panels: title -> features of the clips; more than ``limit`` clips are thinned evenly.
        classes: class names, for the legend.
        path: PNG to write.
        title: above all panels.
        seed: of the map.
        limit: maximum number of clips in a panel.
        method: of :func:`~skeattn.evaluation.embedding_map.project`.
        colour: heading of the legend: the kind of ``classes``.
    """
    maps = {}
    for name, features in panels.items():
        indices = evenly(len(features), limit)
        maps[name] = project(features.x.numpy()[indices], seed, method=method), features.labels.numpy()[indices]
    return draw_maps(maps, classes, path, title, colour)


def draw_maps(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    classes: Sequence[str],
    path: str | os.PathLike[str],
    title: str = '',
    heading: str = 'class',
) -> Path:
    """Draw maps side by side: title -> points (N, 2) and their labels (N,).

    The other arguments are those of :func:`draw_embedding`; ``heading`` is that of the legend.
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
        group = points[labels == label]
        ax.scatter(
            group[:, 0], group[:, 1], s=30, c=colour, marker=marker, alpha=0.85, linewidths=0.3, edgecolors='white'
        )
    ax.set(xticks=[], yticks=[])  # the axes of such a map have no unit
    ax.margins(0.04)
    for spine in ax.spines.values():
        spine.set(visible=True, color='#CCCCCC')
