"""Common style of all pictures: colours for colour-blind readers, light axes, atomic saving."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skeattn.files import write_atomic

# Okabe and Ito (2008) without black, darkest yellow last.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#7A5195', '#8C8C8C')
MARKERS = ('o', '^', 's', 'D', 'v', 'P', 'X', '*')
INK, FAINT = '#222222', '#D9D9D9'

_SETTINGS: Any = {
    'font.family': 'DejaVu Sans',
    'font.size': 11,
    'axes.titlesize': 12.5,
    'axes.titleweight': 'bold',
    'axes.edgecolor': '#888888',
    'axes.labelcolor': INK,
    'text.color': INK,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'legend.frameon': False,
    'svg.hashsalt': 'skeattn',
}


@contextmanager
def look() -> Iterator[None]:
    """Draw with the toolbox's settings; the user's settings are restored afterwards."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def class_style(index: int) -> tuple[str, str]:
    """(colour, marker) of a class; colours repeat after eight classes, with a different marker."""
    return COLOURS[index % len(COLOURS)], MARKERS[index // len(COLOURS) % len(MARKERS)]


def quiet(ax: Axes) -> None:
    """A light horizontal grid behind the data."""
    ax.grid(axis='y', color=FAINT, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(color='#888888', labelcolor=INK)


def save(figure: Figure, path: str | os.PathLike[str], dpi: int = 130) -> Path:
    """Write a PNG, all or nothing and without a time stamp; equal pictures have equal bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {'Software': None}
    write_atomic(path, lambda f: figure.savefig(f, dpi=dpi, format='png', facecolor='white', metadata=metadata))
    return path
