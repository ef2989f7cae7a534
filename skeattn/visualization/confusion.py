"""A confusion matrix with class names."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from skeattn.errors import DataError
from skeattn.visualization.style import INK, look, save

SHOWN = 1.0
"""Minimum percentage of a cell with a number."""


def row_percent(counts: np.ndarray) -> np.ndarray:
    """Counts ``(K, K)``, rows true, as percentage of each row; a class without clips has a row of zeros."""
    return 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def most_confused(counts: np.ndarray, number: int = 10) -> list[tuple[int, int, int, float]]:
    """The most frequently confused pairs of classes.

    Args:
        counts: ``(K, K)`` int, rows true, columns predicted.
        number: maximum number of pairs.

    Returns:
        (true, predicted, clips, percentage of the true class), highest percentage first, then most clips.
    """
    percent, wrong = row_percent(counts), counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    pairs = [(int(i), int(j), int(counts[i, j]), float(percent[i, j])) for i, j in np.argwhere(wrong)]
    return sorted(pairs, key=lambda pair: (-pair[3], -pair[2], pair[:2]))[:number]


def draw_confusion(counts: np.ndarray, classes: Sequence[str], path: str | os.PathLike[str], title: str = '') -> Path:
    """Draw the percentages of each true class as colours, and as numbers from :data:`SHOWN` on.

    Args:
        counts: ``(K, K)`` int, rows true, columns predicted.
        classes: K names.
        path: PNG to write.
        title: above the matrix.

    Raises:
        DataError: there are no clips.
    """
    if not counts.any():
        raise DataError(f'{title or "confusion"}: there are no clips to draw; give counts of at least one clip')
    K, percent = len(counts), row_percent(counts)
    cell = 0.46 if K <= 20 else 0.25  # inches; labels and numbers follow
    font = 10.0 if K <= 20 else 6.8
    with look():
        margin = 2.0 + 0.075 * max(map(len, classes)) * font / 10
        figure = Figure(figsize=(cell * K + margin + 0.6, cell * K + margin), layout='constrained')
        ax = figure.subplots()
        image = ax.imshow(percent, cmap='Blues', vmin=0, vmax=100)
        names = [name.replace('_', ' ') for name in classes]
        ax.set_xticks(range(K), names, rotation=90, fontsize=font)
        ax.set_yticks(range(K), names, fontsize=font)
        ax.set(xlabel='predicted', ylabel='true')
        ax.set_xticks(np.arange(K - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(K - 1) + 0.5, minor=True)
        ax.grid(which='minor', color='#EEEEEE', linewidth=0.6)
        ax.tick_params(which='both', length=0)
        for i, j in np.argwhere(percent >= SHOWN):
            colour = 'white' if percent[i, j] > 55 else INK
            ax.text(
                j, i, f'{percent[i, j]:.0f}', ha='center', va='center', fontsize=0.85 * font, color=colour
            )  # fmt: skip
        for spine in ax.spines.values():
            spine.set(visible=True, color='#CCCCCC')
        figure.colorbar(image, ax=ax, shrink=0.5, aspect=30, label='% of the true class')
        if title:
            figure.suptitle(title, fontsize=14 if K <= 20 else 18)
        return save(figure, path)
