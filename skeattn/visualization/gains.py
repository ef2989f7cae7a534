"""Gain of a method over a baseline by class."""

import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from skeattn.results.class_gain import MEAN, ClassGain
from skeattn.visualization.style import COLOURS, FAINT, INK, look, save


def draw_gains(gains: Sequence[ClassGain], path: str | os.PathLike[str], title: str = '') -> Path:
    """Draw a horizontal bar per class, greatest gain on top, with a dot per seed if the seeds are paired.

    Args:
        gains: from :func:`~skeattn.results.class_gain.class_gains`; the mean over classes is drawn as a line.
        path: PNG to write.
        title: above the bars.
    """
    bars = [one for one in gains if one.name != MEAN]
    with look():
        figure = Figure(figsize=(7.5, 1.4 + 0.24 * len(bars)), layout='constrained')
        ax = figure.subplots()
        colours = [COLOURS[0] if one.gain >= 0 else COLOURS[1] for one in bars]
        ax.barh(range(len(bars)), [one.gain for one in bars], color=colours, height=0.72)
        for place, one in enumerate(bars):
            ax.plot(one.by_seed, [place] * len(one.by_seed), 'o', color=INK, markersize=3, alpha=0.7)
        ax.set_yticks(range(len(bars)), [f'{one.name.replace("_", " ")} ({one.clips})' for one in bars], fontsize=9)
        ax.set_ylim(len(bars) - 0.4, -0.6)
        ax.axvline(0, color='#888888', linewidth=1)
        for one in gains:
            if one.name == MEAN:
                ax.axvline(one.gain, color=INK, linestyle='--', linewidth=1.2, label=f'{MEAN} {one.gain:+.1f}')
        ax.set_xlabel('gain in percentage points (test clips of the class in brackets)')
        ax.grid(axis='x', color=FAINT, linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(color='#888888', labelcolor=INK)
        ax.legend(loc='lower right', fontsize=10)
        if title:
            figure.suptitle(title, fontsize=13)
        return save(figure, path)
