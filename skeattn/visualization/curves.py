"""Accuracy and losses over the epochs, read from the logs of training runs."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skeattn.errors import DataError
from skeattn.reading import parse_json
from skeattn.visualization.style import COLOURS, INK, class_style, look, quiet, save

Series = dict[float, float]
Runs = Mapping[str, str | os.PathLike[str] | Sequence[str | os.PathLike[str]]]
FEW = 20
"""Maximum number of epochs with markers."""


@dataclass
class Log:
    """Logged values of a run: metric name -> {epoch: value}.

    Attributes:
        train: losses; several values within an epoch are at fractions of it.
        val: metrics of the evaluators.
    """

    train: dict[str, Series] = field(default_factory=dict)
    val: dict[str, Series] = field(default_factory=dict)


def read_log(work_dir: str | os.PathLike[str]) -> Log:
    """The scalars of a run, from mmengine's ``<work_dir>/<time>/vis_data/scalars.json``.

    A resumed run has several such files; the last value of a step counts.

    Raises:
        DataError: the folder has no such log, or a damaged one.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise DataError(f'{work_dir} holds no */vis_data/scalars.json; give the work_dir of a training run')
    log = Log()
    for file in files:
        train: list[dict[str, Any]] = []
        for entry in _entries(file):
            if 'iter' in entry:
                train.append(entry)
            else:
                _add(log.val, entry, float(entry['step']), lambda key: '/' in key)
        _add_losses(log.train, train)
    return log


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log; a last one without its end, as a kill leaves it, does not count."""
    try:
        *lines, _ = file.read_text(errors='replace').split('\n')
    except OSError as error:
        raise DataError(f'{file} cannot be read: {error}') from error
    for number, line in enumerate(lines, 1):
        try:
            entry = parse_json(line)
            places = ('iter', 'epoch') if 'iter' in entry else ('step',)
            if not all(isinstance(entry[key], int | float) and entry[key] >= len(places) - 1 for key in places):
                raise ValueError(f'{" and ".join(places)} must be numbers from {len(places) - 1} on')
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f'{file}, line {number} is no line of a log ({error}); delete that line') from error
        yield entry


def _add_losses(series: dict[str, Series], entries: list[dict[str, Any]]) -> None:
    """Place each entry within its epoch; the iterations of an epoch are not logged, so they are inferred."""
    per_epoch = max((entry['iter'] / entry['epoch'] for entry in entries), default=1.0)
    for entry in entries:
        _add(series, entry, entry['iter'] / per_epoch, _is_loss)


def _add(series: dict[str, Series], entry: dict[str, Any], epoch: float, is_shown: Callable[[str], bool]) -> None:
    for key, value in entry.items():
        if is_shown(key) and isinstance(value, int | float):
            series.setdefault(key, {})[epoch] = value


def draw_curves(
    runs: Runs,
    path: str | os.PathLike[str],
    metric: str = 'knn/top1_k1',
    levels: Mapping[str, float] | None = None,
    title: str = '',
) -> Path:
    """Draw one panel with the accuracy of all runs, and one with the losses of each run.

    Args:
        runs: name -> work_dir, or several work_dirs (seeds), drawn as their mean with a band from the minimum to the
            maximum.
        path: PNG to write.
        metric: name of the accuracy in the log.
        levels: name -> accuracy in percent, drawn as horizontal lines (baselines).
        title: above all panels.

    Raises:
        DataError: a work_dir has no log, or the log lacks the metric.
    """
    logs = read_logs(runs)
    with look():
        figure = Figure(figsize=(5.4 + 3.9 * len(logs), 4.6), layout='constrained')
        axes = figure.subplots(1, 1 + len(logs), width_ratios=[1.35, *[1] * len(logs)])
        _accuracy(axes[0], logged(logs, metric), levels or {})
        axes[0].set_title(_readable(metric))
        for ax, (name, group) in zip(axes[1:], logs.items(), strict=True):
            _losses(ax, group)
            ax.set_title(f'losses of {name}')
        return _finish(figure, list(axes), path, title)


def draw_losses(runs: Runs, path: str | os.PathLike[str], title: str = '') -> Path:
    """Draw a panel per run with a line for each term of its loss, all panels on one scale.

    A local loss that falls far below the global one while that stays high is solved without the encoder, by a shortcut.

    Args:
        runs: as in :func:`draw_curves`.
        path: PNG to write.
        title: above all panels.

    Raises:
        DataError: a work_dir has no log, or the log has no loss.
    """
    logs = read_logs(runs)
    terms = {name: _terms(name, group) for name, group in logs.items()}
    order = list(dict.fromkeys(term for names in terms.values() for term in names))
    with look():
        figure = Figure(figsize=(0.8 + 4.2 * len(logs), 4.6), layout='constrained')
        axes = figure.subplots(1, len(logs), squeeze=False, sharey=True)[0]
        for ax, (name, group) in zip(axes, logs.items(), strict=True):
            for term in terms[name]:
                series = [log.train[term] for log in group]
                _line(ax, series, f'{_symbol(term)} {band(series)[1][0, -1]:.2f}', *class_style(order.index(term)))
            ax.set_title(name)
            ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=10.5, columnspacing=1.0)
        axes[0].set_ylabel('loss; last value below')
        axes[0].set_ylim(bottom=min(0.0, axes[0].get_ylim()[0]))
        return _finish(figure, list(axes), path, title)


def draw_series(
    panels: Mapping[str, Mapping[str, Sequence[Series]]], path: str | os.PathLike[str], title: str = ''
) -> Path:
    """Draw a panel per quantity, with a curve per run.

    Args:
        panels: quantity -> run -> values by epoch, a series per seed; several seeds are drawn as their mean with a band
            from the minimum to the maximum.
        path: PNG to write.
        title: above all panels.
    """
    with look():
        figure = Figure(figsize=(5.2 * len(panels), 4.6), layout='constrained')
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (quantity, runs) in zip(axes, panels.items(), strict=True):
            for i, (name, group) in enumerate(runs.items()):
                _line(ax, group, name, *class_style(i))
            ax.set_title(_readable(quantity))
            ax.set_ylabel('' if _is_loss(quantity) else '%')
            ax.margins(y=0.12)
            ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=10.5)
        return _finish(figure, list(axes), path, title)


def read_logs(runs: Runs) -> dict[str, list[Log]]:
    """Name -> logs of its work_dirs (see :func:`read_log`)."""
    return {
        name: [read_log(folder) for folder in ([folders] if isinstance(folders, str | os.PathLike) else folders)]
        for name, folders in runs.items()
    }


def logged(logs: Mapping[str, Sequence[Log]], metric: str) -> dict[str, list[Series]]:
    """Name -> series of a metric or a loss.

    Raises:
        DataError: a run did not log it.
    """
    for name, group in logs.items():
        for log in group:
            if metric not in log.val | log.train:
                names = ', '.join(sorted(log.val) + sorted(log.train)) or 'nothing yet'
                raise DataError(f'{name}: metric {metric!r} was not logged; choose from {names}')
    return {name: [(log.val | log.train)[metric] for log in group] for name, group in logs.items()}


def band(group: Sequence[Series]) -> tuple[list[float], np.ndarray]:
    """(common epochs, ``(3, epochs)`` mean, minimum and maximum) of a quantity over seeds."""
    epochs = sorted(set[float].intersection(*(set(series) for series in group)))
    values = np.array([[series[epoch] for epoch in epochs] for series in group])
    return epochs, np.stack([values.mean(0), values.min(0), values.max(0)]) if epochs else np.zeros((3, 0))


def _line(ax: Axes, group: Sequence[Series], label: str, colour: str, marker: str = '', **style: Any) -> None:
    epochs, (mean, minimum, maximum) = band(group)
    marker = marker if len(epochs) <= FEW else ''
    ax.plot(epochs, mean, color=colour, marker=marker, markersize=6, linewidth=2.4, label=label, **style)
    if len(group) > 1:
        ax.fill_between(epochs, minimum, maximum, color=colour, alpha=0.18, linewidth=0)


def _finish(figure: Figure, axes: Sequence[Axes], path: str | os.PathLike[str], title: str) -> Path:
    for ax in axes:
        ax.set_xlabel('epoch')
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        _widen(ax)
        quiet(ax)
    if title:
        figure.suptitle(title, fontsize=14)
    return save(figure, path)


def _widen(ax: Axes) -> None:
    """Axes of a single epoch or a single value: otherwise they would span a few percent of it."""
    points = [np.asarray(line.get_xydata()) for line in ax.get_lines() if line.get_transform() is ax.transData]
    x, y = np.concatenate(points).T if points else np.zeros((2, 0))
    if len(x) and np.ptp(x) == 0:
        ax.set_xlim(x[0] - 1, x[0] + 1)
    if len(y) and np.ptp(y) == 0:
        ax.set_ylim(min(0.0, 2 * y[0]), max(0.0, 2 * y[0]) or 1)


def _accuracy(ax: Axes, series: Mapping[str, Sequence[Series]], levels: Mapping[str, float]) -> None:
    for i, (name, group) in enumerate(series.items()):
        mean = band(group)[1][0]
        _line(ax, group, f'{name} {mean[-1]:.1f}' if len(mean) else name, *class_style(i))
    for (name, value), style in zip(levels.items(), ('--', ':', '-.', (0, (1, 3))), strict=False):
        ax.axhline(value, color=INK, linestyle=style, linewidth=1.3, label=f'{name} {value:.1f}')
    ax.set_ylabel('accuracy on the test clips, %')
    ax.margins(y=0.12)
    ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=10.5)


def _terms(name: str, group: Sequence[Log]) -> list[str]:
    """The terms of a loss that all seeds of a run logged, of a loss without terms its total."""
    common = sorted(set[str].intersection(*(set(log.train) for log in group)))
    drawn = [key for key in common if band([log.train[key] for log in group])[0]]
    terms = [key for key in drawn if key.startswith('L_')] or drawn
    if not terms:
        raise DataError(f'{name}: no loss was logged, or at no step that all seeds have in common')
    return terms


def _losses(ax: Axes, group: Sequence[Log]) -> None:
    names = sorted(set[str].intersection(*(set(log.train) for log in group)), key=lambda key: (key != 'loss', key))
    for name, colour, style in zip(names, (INK, *COLOURS), ('-', '-', '--', ':', '-.'), strict=False):
        _line(ax, [log.train[name] for log in group], _symbol(name), colour, linestyle=style)
    ax.margins(y=0.12)
    ax.legend(
        loc='upper center', bbox_to_anchor=(0.5, -0.16), ncols=max(1, len(names)), fontsize=10.5, columnspacing=1.0
    )


def _is_loss(name: str) -> bool:
    return 'loss' in name.split('_') or name.startswith('L_')


def _symbol(name: str) -> str:
    """L_s -> the paper's symbol."""
    return f'$L_{{{name[2:]}}}$' if name.startswith('L_') else name


def _readable(metric: str) -> str:
    evaluator, slash, name = metric.rpartition('/')
    if not slash:
        return _symbol(metric)
    titles = {'knn': 'KNN', 'linear': 'linear probe'}
    return f'{titles.get(evaluator, evaluator)}, {name.replace("top1_k", "K = ").replace("_", " ")}'
