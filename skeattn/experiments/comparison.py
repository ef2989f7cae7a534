"""Comparison of all methods on one data set: its runs, and a table with a row per method and source of features."""

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tabulate import tabulate

from skeattn import toolbox
from skeattn.engine.config import read_config
from skeattn.engine.work_dir import default_work_dir
from skeattn.errors import ConfigError
from skeattn.experiments.baselines import RAW, RAW_SOURCE, UNTRAINED, raw_sources
from skeattn.experiments.command import show_table
from skeattn.experiments.options import FROZEN
from skeattn.experiments.paper import FURTHER_BACKBONES
from skeattn.experiments.plan import method_name
from skeattn.experiments.run import Run
from skeattn.files import write_json
from skeattn.models.readout import MEAN
from skeattn.results.provenance import environment
from skeattn.results.record import Record
from skeattn.results.report import WITHOUT, corner, heading, mean_std

UNTRAINED_SEEDS = (0, 1, 2)
LINEAR = 'linear/top1'
METRICS = ('knn/top1_k1', 'knn/top1_k20', LINEAR)
FURTHER = ('knn/top1_heldout', 'linear/top1_std', 'probe/top1')
"""Metrics with a column only if a row has them."""

NOTE = (
    'Accuracy on the test clips in %, mean ± standard deviation over seeds. "linear": a classifier on frozen features '
    'after its last epoch\n("own classifier": the one trained with the encoder); "gain": linear over the untrained '
    'encoder with the same backbone and streams.\nParameters and GMACs of the encoder per clip of this set; "step": '
    'forward and backward of all views, per clip.'
)


def find_configs(dataset: str) -> dict[str, str]:
    """Method -> its config for a data set; a config with the common settings of all methods takes precedence.

    A method is compared with ST-GCN, or with its other backbone if it has no config with ST-GCN.

    Raises:
        ConfigError: the data set has no config; lists data sets with configs.
    """
    configs = {
        Path(config).parent.name: config
        for backbone in (*FURTHER_BACKBONES, 'stgcn')  # the last one takes precedence
        for suffix in ('', '_common')
        for config in toolbox.configs(f'[!_]*/{backbone}_{dataset}{suffix}.py')
    }
    if not configs:
        datasets = {Path(config).stem.removeprefix('stgcn_') for config in toolbox.configs('[!_]*/stgcn_*.py')}
        names = ', '.join(sorted(datasets))
        raise ConfigError(f'--dataset {dataset}: no configs/*/stgcn_{dataset}.py; choose from {names}')
    return dict(sorted(configs.items()))


def backbone_of(config: str | None) -> str:
    """The backbone that a config names, ``'stgcn'`` for ``configs/aimclr/stgcn_demo.py``; empty without a config."""
    return Path(config).stem.partition('_')[0] if config else ''


def plan_comparison(
    configs: Mapping[str, str],
    methods: Sequence[str] | None,
    seeds: Sequence[int],
    options: Mapping[str, Any],
    protocols: Sequence[str] = FROZEN,
) -> list[Run]:
    """The runs of the table: the methods with each seed, and the baselines without training.

    A method that starts from another one's run (STARS from MAMP's) starts from the run with the same seed, which is in
    the table as well. The untrained encoder is that of the first config with the same backbone and streams, independent
    of the requested methods. Raw coordinates are those of the first config, and once more of methods that read the set
    through another pipeline.

    Args:
        configs: from :func:`find_configs`.
        methods: the requested methods; None for all.
        seeds: of the trainings.
        options: overrides of every config, by dotted key.
        protocols: of all rows, baselines included.

    Raises:
        ConfigError: a method has no config.
    """
    unknown = [method for method in methods or () if method not in configs]
    if unknown:
        raise ConfigError(f'--methods {unknown[0]}: no config for it; choose from {", ".join(configs)}')
    cfgs = {method: read_config(config, options) for method, config in configs.items()}
    references: dict[tuple[str, str], str] = {}
    for method, cfg in cfgs.items():
        references.setdefault((backbone_of(configs[method]), str(cfg.stream)), configs[method])
    starts = {method: earlier for method, cfg in cfgs.items() if (earlier := _start(cfg, configs))}
    named = methods or configs
    compared = {method: cfgs[method] for method in dict.fromkeys([*(starts[m] for m in named if m in starts), *named])}
    sources = raw_sources(_readouts(cfgs.values()))
    raw = partial(Run, seed=0, options=options, trained=False, sources=sources, protocols=tuple(protocols))
    baselines = [raw(name, configs[method]) for name, method in _pipelines(cfgs, compared).items()]
    encoders = ((backbone_of(configs[method]), str(cfg.stream)) for method, cfg in compared.items())
    for backbone, stream in dict.fromkeys(encoders):
        name = f'{UNTRAINED}, {FURTHER_BACKBONES[backbone]}' if backbone in FURTHER_BACKBONES else UNTRAINED
        config = references[backbone, stream]
        baselines += [
            Run(name, config, seed, options, False, ('backbone',), tuple(protocols)) for seed in UNTRAINED_SEEDS
        ]
    trainings: dict[tuple[str, int], Run] = {}
    for seed in seeds:  # the outer loop, for an early first table
        for method in sorted(compared, key=lambda method: method in starts):
            start = trainings[starts[method], seed] if method in starts else None
            name = method_name(method, compared[method])
            run = Run(name, configs[method], seed, options, protocols=tuple(protocols), start=start)
            trainings[method, seed] = run
    return [*baselines, *trainings.values()]


def _pipelines(cfgs: Mapping[str, Any], compared: Iterable[str]) -> dict[str, str]:
    """Name of a row of raw coordinates -> a method that reads these clips; the first config's have no addition."""
    first = next(iter(cfgs))
    methods: dict[str, str] = {}
    for method in (first, *compared):
        methods.setdefault(repr(cfgs[method].dataset.to_dict()), method)
    return {
        RAW if method == first else f'{RAW}, clips of {method_name(method, cfgs[method])}': method
        for method in methods.values()
    }


def _start(cfg: Any, configs: Mapping[str, str]) -> str | None:
    """The method from whose run a config starts: ``load_from`` is the default folder of that method's config."""
    places = {str(default_work_dir(config)): method for method, config in configs.items()}
    return places.get(str(cfg.get('load_from')))


def _readouts(cfgs: Iterable[Any]) -> list[str]:
    return [(cfg.get('evaluation') or {}).get('readout') or MEAN for cfg in cfgs]


def unequal_clips(runs: Iterable[Run]) -> str | None:
    """A message if the methods draw different numbers of clips in training, with repetition; None otherwise."""
    clips = {run.name: run.iterations * run.cfg.batch_size for run in runs if run.trained}
    if len(set(clips.values())) < 2:
        return None
    numbers = ', '.join(f'{name} {number}' for name, number in clips.items())
    return f'methods see different numbers of clips in training: {numbers}'


@dataclass
class ComparisonRow:
    """A row of the table of a comparison.

    Args:
        name: the method.
        streams: of the features.
        readout: of the features; None for raw coordinates of which nothing is averaged, a row of every table.
        backbone: that its config names.
        seeds: of the runs in the row.
        metrics: metric -> value for each seed, in percent.
        gain: linear accuracy over the untrained encoder with the same backbone, streams and readout, in points.
        parameters: of the encoder.
        gmacs: of the encoder, per clip.
        step_gmacs: of a training step, per clip.
        seconds_per_epoch: mean over seeds.
        clips_seen: number of clips drawn in training; one value for each seed.
        without_copies: whether test clips that equal a training clip are left out.
    """

    name: str
    streams: tuple[str, ...]
    readout: str | None
    backbone: str
    seeds: list[int]
    metrics: dict[str, list[float]]
    gain: float | None
    parameters: float
    gmacs: float
    step_gmacs: float | None
    seconds_per_epoch: float | None
    clips_seen: list[int]
    without_copies: bool = False


def make_rows(records: Iterable[Record]) -> list[ComparisonRow]:
    """Rows from records of ``skeattn test`` for several methods and seeds, best linear accuracy first.

    Records with the same name are runs of one method with several seeds. The row of logits has their accuracy as linear
    accuracy: that of a linear classifier trained with the encoder.
    """
    groups: dict[tuple[str, str, tuple[str, ...]], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.name, record.seed or 0)):
        for source, part in record.sources.items():
            groups[record.name, source, tuple(part.streams)].append(record)
    rows = [_row(name, source, group) for (name, source, _), group in groups.items()]
    rows += [
        _row(name, source, group, without_copies=True)
        for (name, source, _), group in groups.items()
        if all(record.sources[source].metrics_without_copies for record in group)
    ]
    untrained = {_comparable(row): row for row in rows if row.step_gmacs is None and row.parameters}
    for row in rows:
        baseline = untrained.get(_comparable(row))
        if baseline and row is not baseline and row.parameters and LINEAR in row.metrics.keys() & baseline.metrics:
            row.gain = statistics.mean(row.metrics[LINEAR]) - statistics.mean(baseline.metrics[LINEAR])
    return sorted(
        rows,
        key=lambda row: (
            row.without_copies,
            -statistics.mean(row.metrics.get(LINEAR, [0.0])),
            row.name,
            row.streams,
        ),
    )


def _comparable(row: ComparisonRow) -> tuple[Any, ...]:
    """What a row has in common with its untrained encoder."""
    return row.backbone, row.streams, row.readout, row.without_copies


def _row(name: str, source: str, records: Sequence[Record], without_copies: bool = False) -> ComparisonRow:
    parts = [record.sources[source] for record in records]
    trainings = [record.training for record in records if record.training]
    numbers = [part.metrics_without_copies if without_copies else part.metrics for part in parts]
    metrics = {key: [values[key] for values in numbers] for key in numbers[0]}
    if source == 'logits':
        name, metrics = f'{name}, own classifier', {LINEAR: metrics['topk/top1']}
    seconds = [training.seconds_per_epoch for training in trainings if training.seconds_per_epoch is not None]
    return ComparisonRow(
        name=name,
        streams=tuple(parts[0].streams),
        readout=None if source == RAW_SOURCE else parts[0].readout,
        backbone=backbone_of(records[0].config),
        seeds=[record.seed for record in records if record.seed is not None],
        metrics=metrics,
        gain=None,
        parameters=parts[0].parameters or 0,
        gmacs=parts[0].gmacs or 0.0,
        step_gmacs=trainings[0].gmacs if trainings else None,
        seconds_per_epoch=statistics.mean(seconds) if seconds else None,
        clips_seen=[training.clips_seen for training in trainings if training.clips_seen is not None],
        without_copies=without_copies,
    )


def render(rows: Sequence[ComparisonRow], fmt: str = 'simple') -> str:
    """The table as text, one for each readout; ``fmt`` is a tabulate format, ``'github'`` for Markdown."""
    readouts = list(dict.fromkeys(row.readout for row in rows if row.readout is not None)) or [MEAN]
    return '\n\n'.join(
        _render([row for row in rows if row.readout in (None, readout)], readout, fmt) for readout in readouts
    )


def _render(rows: Sequence[ComparisonRow], readout: str, fmt: str) -> str:
    metrics = [*METRICS, *(metric for metric in FURTHER if any(metric in row.metrics for row in rows))]
    costs = ['parameters\nM', 'GMACs\nencoder', 'GMACs\nstep', 's/epoch']
    headings = [corner(readout), 'streams', *map(heading, metrics), 'gain', *costs, 'seeds']
    lines = [
        [
            (row.name if row.readout or readout == MEAN else f'{row.name}, whole clip')
            + (WITHOUT if row.without_copies else ''),
            '+'.join(row.streams),
            *(mean_std(row.metrics.get(metric, [])) for metric in metrics),
            '' if row.gain is None else f'{row.gain:+.1f}',
            f'{row.parameters / 1e6:.3f}' if row.parameters else '',
            f'{row.gmacs:.3f}' if row.parameters else '',
            '' if row.step_gmacs is None else f'{row.step_gmacs:.3f}',
            '' if row.seconds_per_epoch is None else f'{row.seconds_per_epoch:.1f}',
            ' '.join(map(str, row.seeds)),
        ]
        for row in rows
    ]
    if fmt == 'github':
        headings = [text.replace('\n', ' ') for text in headings]
    align = ('left', 'left', *['right'] * (len(headings) - 3), 'left')
    return tabulate(lines, headings, tablefmt=fmt, disable_numparse=True, colalign=align)


def clips_seen(rows: Sequence[ComparisonRow]) -> str:
    """One line on the number of clips drawn in training, by method if the numbers differ."""
    clips = {row.name: sorted(set(row.clips_seen)) for row in rows if row.clips_seen}
    numbers = sorted({number for drawn in clips.values() for number in drawn})
    if len(numbers) < 2:
        return f'Every method drew {numbers[0]} clips in training.' if numbers else 'Nothing was trained.'
    texts = ', '.join(f'{name} {" and ".join(map(str, drawn))}' for name, drawn in clips.items())
    return f'The methods drew different numbers of clips in training: {texts}.'


def write_comparison(runs: Sequence[Run], dataset: str, root: Path, out: Path) -> None:
    """Print the table of the finished runs and write it, with its numbers."""
    records = {run.path(root): record for run in runs if (record := run.record(root))}
    if not records:
        return
    rows = make_rows(records.values())
    show_table(partial(render, rows), f'{NOTE}\n{clips_seen(rows)}', out)
    commits = sorted({record.commit or 'unknown' for record in records.values()})
    finished = [str(path.relative_to(root)) for path in records]
    facts = {'dataset': dataset, 'rows': [*map(dataclasses.asdict, rows)], 'runs': finished, 'commits': commits}
    write_json(out / 'results.json', {**facts, **environment()})
