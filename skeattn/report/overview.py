"""The parts of a report that are read from records, logs and configs: summary, numbers, curves, classes."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.engine.config_diff import differences, once
from skeattn.errors import DataError
from skeattn.models.readout import MEAN, with_readout
from skeattn.protocols.evaluate import UNTRAINED
from skeattn.protocols.summary import notes_of, rows_of
from skeattn.report.runs import Run
from skeattn.results.class_gain import MEAN as MEAN_ROW
from skeattn.results.class_gain import class_gains
from skeattn.results.provenance import training_facts
from skeattn.results.recorded import RecordedResult, read_result
from skeattn.results.report import RAW_ROW, by_readout, heading, of_readout, ordered
from skeattn.visualization.confusion import most_confused

POINTS = 1000
"""Maximum number of points of a curve; more are thinned evenly."""
OF_A_START = ('work_dir', 'load_from', 'resume', 'launcher', 'log_level')
"""Keys of a config that tell how a training was started."""
BASELINES = (RAW_ROW, UNTRAINED)
"""Beginnings of the names of rows for which nothing was trained."""
Part = dict[str, Any]
Rows = dict[str, Mapping[str, float]]


def summary(runs: Sequence[Run]) -> list[Part]:
    """Rows of facts, each a text per run; rows that no run fills are left out."""
    columns = [_facts(run) for run in runs]
    labels = dict.fromkeys(label for column in columns for label in column)
    rows = [{'label': label, 'values': [column.get(label, '') for column in columns]} for label in labels]
    return [row for row in rows if any(row['values'])]


def _facts(run: Run) -> dict[str, str]:
    record, meta, config = run.record, run.meta, run.config
    file = run.checkpoint
    training = run.attempt('training', lambda: training_facts(file)) if file else None
    if record and record.training:
        training = {key: value for key, value in vars(record.training).items() if value is not None}
    training = training or {}
    part = next(iter(record.sources.values()), None) if record else None
    clips = record.clips if record else {}
    optimiser = (config.get('optim_wrapper') or {}).get('optimizer') or {}
    versions = (record.versions if record else {}) or meta.get('versions') or {}
    rows: dict[str, Any] = {
        'method': meta.get('method') or (record and (record.model or record.name)),
        'backbone': meta.get('backbone'),
        'data set': (record and record.data) or _words(meta.get('data')),
        'split': (record and record.split) or _words(meta.get('split')),
        'stream': (record and record.streams) or _words(meta.get('stream')),
        'features': source_of(run),
        'clips': ', '.join(f'{count:,} {kind}' for kind, count in clips.items() if count),
        'frames of a clip': meta.get('num_frames'),
        'epochs': training.get('epochs'),
        'batch size': meta.get('batch_size'),
        'optimiser': ' '.join(_words(optimiser[key]) for key in ('type', 'lr') if key in optimiser),
        'seed': training.get('seed', record.seed if record else None),
        'training time': _duration(training.get('seconds')),
        'clips seen': _count(training.get('clips_seen')),
        'parameters': _count(part.parameters if part else None),
        'GMACs of a clip': f'{part.gmacs:.3g}' if part and part.gmacs else None,
        'checkpoint': (record and _words(record.checkpoint)) or (run.checkpoint and run.checkpoint.name),
        'weights, sha256': record and (record.checkpoint_sha256 or '')[:16],
        'config': record and ' '.join([record.config or '', *(f'{k}={v}' for k, v in record.cfg_options.items())]),
        'hardware': record and record.hardware,
        'threads': record and record.threads,
        'versions': ', '.join(f'{name} {version}' for name, version in versions.items()),
        'commit': record and record.commit and record.commit[:12] + (' (changed)' if record.dirty else ''),
        'evaluated': record and record.finished,
        'folder': run.folder,
    }
    return {label: str(value) for label, value in rows.items() if value not in (None, '')}


def source_of(run: Run) -> str:
    """The features that the config evaluates, with their readout."""
    loop = run.config.get('test_cfg') or run.config.get('evaluation') or {}
    return with_readout(loop.get('source') or 'backbone', loop.get('readout'))


def config_differences(runs: Sequence[Run]) -> Part:
    """Dotted key -> a value per run, of the runs whose config is known; or the reason why there are none."""
    known = [number for number, run in enumerate(runs) if run.config]
    if len(known) < 2:
        return {'reason': 'differences need the configs of two runs'}
    configs = [{key: value for key, value in runs[i].config.items() if key not in OF_A_START} for i in known]
    rows = differences(*configs)
    shown = once(rows)
    listed = [{'key': key, 'values': list(values)} for key, values in shown.items()]
    return {'runs': known, 'rows': listed, 'repeated': len(rows) - len(shown)}


def numbers(runs: Sequence[Run]) -> Part:
    """Tables of metrics, one for each set of test clips and readout: rows of baselines, then of each run.

    Values are those of the records; without a record the last ones of the training log.
    """
    tables = []
    for place, of_runs in _by_test_clips(runs).items():
        for readout, rows in by_readout(_merged(of_runs, len(runs) > 1)).items():
            columns = ordered(key for metrics in rows.values() for key in metrics)
            if columns:
                tables.append(_table(f'{place}, readout {readout}', columns, rows, runs))
    reasons = {item for run in runs for record in run.records.values() for item in notes_of(record).items()}
    notes = {f'{heading(metric)}: {text}'.replace('\n', ' ') for metric, text in reasons}
    return {'tables': tables, 'notes': sorted(notes)}


def _by_test_clips(runs: Sequence[Run]) -> dict[str, dict[str, Rows]]:
    """Data set and split in words -> run -> its rows there."""
    found: dict[tuple[str, str], dict[str, Rows]] = {}
    words: dict[tuple[str, str], str] = {}

    def rows_at(digest: Any, data: Any, split: Any, run: Run) -> Rows:
        place = str(digest or data), _words(split)
        words.setdefault(place, f'{_words(data)}, {_words(split)}')
        return found.setdefault(place, {}).setdefault(run.name, {})

    for run in runs:
        for record in run.records.values():
            rows = rows_at(record.manifest_sha256, record.data, record.split, run)
            for row, metrics in rows_of(record).items():
                rows[row] = {**rows.get(row, {}), **metrics}
        if not run.records and run.log and run.log.val:
            last = max(max(series) for series in run.log.val.values())
            _, _, readout = source_of(run).partition('@')
            rows = rows_at(run.meta.get('manifest_sha256'), run.meta.get('data'), run.meta.get('split'), run)
            name = of_readout(f'epoch {last:g}, during training', readout or MEAN)
            rows[name] = {key: series[last] for key, series in run.log.val.items() if last in series}
    return {words[place]: of_runs for place, of_runs in found.items()}


def _merged(of_runs: Mapping[str, Rows], named: bool) -> Rows:
    """The rows of all runs. Baselines with the same numbers in several runs, such as raw coordinates, stand once.

    Args:
        of_runs: name of a run -> its rows.
        named: begin a row with the name of its run.
    """
    if not named:
        return next(iter(of_runs.values()))
    found: dict[str, list[Mapping[str, float]]] = {}
    for rows in of_runs.values():
        for row, metrics in rows.items():
            found.setdefault(row, []).append(metrics)
    same = {row: all_[0] for row, all_ in found.items() if row.startswith(BASELINES) and _several_equal(all_)}
    own = {f'{name}: {row}': rows[row] for name, rows in of_runs.items() for row in rows if row not in same}
    return {**same, **own}


def _several_equal(values: Sequence[Any]) -> bool:
    return len(values) > 1 and all(value == values[0] for value in values)


def _table(title: str, columns: Sequence[str], rows: Rows, runs: Sequence[Run]) -> Part:
    return {
        'title': title,
        'columns': [{'metric': metric, 'heading': heading(metric).replace('\n', ' ')} for metric in columns],
        'rows': [
            {'name': name, **_origin(name, runs), 'values': [finite(metrics.get(metric)) for metric in columns]}
            for name, metrics in rows.items()
        ],
    }


def _origin(name: str, runs: Sequence[Run]) -> Part:
    """The number of the run of a row, None where several share it, and whether nothing was trained for it."""
    own = {f'{run.name}: ': number for number, run in enumerate(runs)} if len(runs) > 1 else {'': 0}
    prefix = next((prefix for prefix in own if name.startswith(prefix)), None)
    untrained = name.removeprefix(prefix or '').startswith(BASELINES)
    return {'run': None if prefix is None else own[prefix], 'untrained': untrained}


def curves(runs: Sequence[Run]) -> list[Part]:
    """Losses and metrics by epoch: for each quantity a series per run that logged it."""
    losses = dict.fromkeys(key for run in runs if run.log for key in run.log.train)
    metrics = dict.fromkeys(key for run in runs if run.log for key in run.log.val)
    order = [('loss', key) for key in sorted(losses, key=lambda key: (key != 'loss', key))]
    headed = ordered(metrics)
    order += [('metric', key) for key in (*headed, *sorted({*metrics} - {*headed}))]
    return [
        {'kind': kind, 'name': key, 'title': heading(key).replace('\n', ' '), 'series': _series(runs, kind, key)}
        for kind, key in order
    ]


def _series(runs: Sequence[Run], kind: str, key: str) -> list[Part]:
    series = []
    for number, run in enumerate(runs):
        values = (run.log.train if kind == 'loss' else run.log.val).get(key) if run.log else None
        if values:
            epochs = np.array(sorted(values))
            kept = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), POINTS)).round().astype(int))
            x = epochs[kept].tolist()
            series.append({'run': number, 'x': [round(at, 4) for at in x], 'y': [finite(values[at]) for at in x]})
    return series


def classes(runs: Sequence[Run]) -> list[Part]:
    """For each protocol and source with predictions: confusion and accuracy by class of each run, and gains.

    The gains are those of the later runs over the first one that has this result.
    """
    results = [_results(run) for run in runs]
    keys = dict.fromkeys(key for found in results for key in found)
    return [_of_protocol(f'{protocol}, {source}', [found.get((protocol, source)) for found in results])
            for protocol, source in keys]  # fmt: skip


def _results(run: Run) -> dict[tuple[str, str], RecordedResult]:
    """(protocol, source) -> the newest result with a confusion matrix."""
    found = {}
    for file, record in run.records.items():
        for source, part in record.sources.items():
            for protocol, result in part.protocols.items():
                if result.confusion and result.per_class:
                    found[protocol, source] = read_result(run.folder / file, protocol, source)
    return found


def _of_protocol(title: str, results: Sequence[RecordedResult | None]) -> Part:
    shown, base = [], next(i for i, result in enumerate(results) if result)
    for number, result in enumerate(results):
        if result is None:
            shown.append({'run': number, 'reason': 'no record of this run has this result'})
            continue
        try:
            shown.append({'run': number, **_predictions(result)})
        except DataError as error:
            shown.append({'run': number, 'reason': str(error)})
    gains = [_gain(results, base, number) for number in range(base + 1, len(results)) if results[number]]
    return {'title': title, 'runs': shown, 'gains': gains}


def _predictions(result: RecordedResult) -> Part:
    counts = result.confusion
    pairs = [{'true': i, 'predicted': j, 'clips': n, 'percent': p} for i, j, n, p in most_confused(counts)]
    return {
        'scores_of': result.result.scores_of,
        'classes': result.classes,
        'per_class': [finite(value) for value in result.result.per_class.values()],
        'confusion': counts.tolist(),
        'confused': pairs,
    }


def _gain(results: Sequence[RecordedResult | None], base: int, number: int) -> Part:
    sides = [one for one in (results[base], results[number]) if one]
    try:
        gains = class_gains(sides[:1], sides[1:])
    except DataError as error:
        return {'baseline': base, 'run': number, 'reason': str(error)}
    values = {one.name: one.gain for one in gains}
    return {'baseline': base, 'run': number, 'mean': values.pop(MEAN_ROW), 'gains': values}


def finite(value: float | None) -> float | None:
    """The value; None for NaN and infinities, which JSON lacks."""
    return None if value is None or not math.isfinite(value) else value


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ', '.join(map(_words, value))
    return '' if value is None else Path(value).as_posix() if isinstance(value, Path) else str(value)


def _count(value: float | None) -> str:
    return '' if value is None else f'{int(value):,}'


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ''
    hours, minutes = divmod(round(seconds) // 60, 60)
    return f'{hours} h {minutes} min' if hours else f'{minutes} min {round(seconds) % 60} s'
