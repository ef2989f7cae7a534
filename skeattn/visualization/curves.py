"""Accuracy and losses over the epochs, read from the logs of training runs."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skeattn.errors import DataError
from skeattn.visualization.style import COLOURS, INK, MARKERS, look, quiet, save

Series = dict[float, float]


@dataclass
class Log:
    """What a run logged: metric name -> {epoch: value}.

    Attributes:
        train: losses; several values within an epoch stand at fractions of it.
        val: metrics of the evaluators.
    """

    train: dict[str, Series] = field(default_factory=dict)
    val: dict[str, Series] = field(default_factory=dict)


def read_log(work_dir: str | os.PathLike[str]) -> Log:
    """The scalars of a run, from mmengine's ``<work_dir>/<time>/vis_data/scalars.json``.

    A resumed run has several such files; what was logged last for a step stands.

    Raises:
        DataError: the folder holds no such log, or a damaged one.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise DataError(f'{work_dir} holds no */vis_data/scalars.json; is it the work_dir of a training run?')
    log = Log()
    for file in files:
        train: list[dict[str, Any]] = []
        for number, line in enumerate(file.read_text().splitlines(), 1):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f'{file}, line {number} is not JSON ({error}); delete that line') from error
            if 'iter' in entry:
                train.append(entry)
            else:
                _add(log.val, entry, float(entry['step']), lambda key: '/' in key)
        _add_losses(log.train, train)
    return log


def _add_losses(series: dict[str, Series], entries: list[dict[str, Any]]) -> None:
    """Place each entry within its epoch; the log does not say how many iterations an epoch has."""
    per_epoch = max((entry['iter'] / entry['epoch'] for entry in entries), default=1.0)
    for entry in entries:
        _add(series, entry, entry['iter'] / per_epoch, lambda key: key == 'loss' or key.startswith(('loss_', 'L_')))


def _add(series: dict[str, Series], entry: dict[str, Any], at: float, wanted: Any) -> None:
    for key, value in entry.items():
        if wanted(key):
            series.setdefault(key, {})[at] = value


def draw_curves(
    runs: Mapping[str, str | os.PathLike[str]],
    path: str | os.PathLike[str],
    metric: str = 'knn/top1_k1',
    levels: Mapping[str, float] | None = None,
    title: str = '',
) -> Path:
    """One panel with the accuracy of all runs, and one with the losses of each.

    Args:
        runs: name -> work_dir.
        path: PNG to write.
        metric: the accuracy to draw, as logged.
        levels: name -> accuracy in percent, drawn as horizontal lines (baselines).
        title: above all panels.

    Raises:
        DataError: a work_dir without log, or without that metric.
    """
    logs = {name: read_log(work_dir) for name, work_dir in runs.items()}
    for name, log in logs.items():
        if metric not in log.val:
            raise DataError(f'{runs[name]}: metric {metric!r} was not logged; logged: {", ".join(sorted(log.val))}')
    with look():
        figure = Figure(figsize=(5.4 + 3.9 * len(runs), 4.6), layout='constrained')
        axes = figure.subplots(1, 1 + len(runs), width_ratios=[1.35, *[1] * len(runs)])
        _accuracy(axes[0], {name: log.val[metric] for name, log in logs.items()}, levels or {})
        axes[0].set_title(_readable(metric))
        for ax, (name, log) in zip(axes[1:], logs.items(), strict=True):
            _losses(ax, log.train)
            ax.set_title(f'losses of {name}')
        for ax in axes:
            ax.set_xlabel('epoch')
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            quiet(ax)
        if title:
            figure.suptitle(title, fontsize=14)
        return save(figure, path)


def _accuracy(ax: Axes, series: Mapping[str, Series], levels: Mapping[str, float]) -> None:
    for (name, points), colour, marker in zip(series.items(), COLOURS, MARKERS, strict=False):
        epochs, values = _sorted(points)
        ax.plot(
            epochs, values, color=colour, marker=marker, markersize=6, linewidth=2.4, label=f'{name} {values[-1]:.1f}'
        )
    for (name, value), style in zip(levels.items(), ('--', ':', '-.', (0, (1, 3))), strict=False):
        ax.axhline(value, color=INK, linestyle=style, linewidth=1.3, label=f'{name} {value:.1f}')
    ax.set_ylabel('accuracy on the test clips, %')
    ax.margins(y=0.12)
    ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=10.5)


def _losses(ax: Axes, series: Mapping[str, Series]) -> None:
    names = sorted(series, key=lambda key: (key != 'loss', key))
    for name, colour, style in zip(names, (INK, *COLOURS), ('-', '-', '--', ':', '-.'), strict=False):
        ax.plot(*_sorted(series[name]), color=colour, linestyle=style, linewidth=2.0, label=_symbol(name))
    ax.margins(y=0.12)
    ax.legend(
        loc='upper center', bbox_to_anchor=(0.5, -0.16), ncols=max(1, len(names)), fontsize=10.5, columnspacing=1.0
    )


def _sorted(points: Series) -> tuple[list[float], list[float]]:
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def _symbol(name: str) -> str:
    """L_s -> the paper's symbol."""
    return f'$L_{{{name[2:]}}}$' if name.startswith('L_') else name


def _readable(metric: str) -> str:
    evaluator, _, name = metric.partition('/')
    known = {'knn': 'KNN', 'linear': 'linear probe'}
    return f'{known.get(evaluator, evaluator)}, {name.replace("top1_k", "K = ").replace("_", " ")}'
