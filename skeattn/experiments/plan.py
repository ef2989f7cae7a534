"""The runs and ensembles that fill a table of the paper."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from skeattn import toolbox
from skeattn.datasets.union import folders_of
from skeattn.engine.config import read_config
from skeattn.errors import ConfigError, SkeAttnError
from skeattn.evaluation.fusion import EQUAL
from skeattn.experiments.baselines import RAW_SOURCE, has_baselines, raw_sources, readout_of
from skeattn.experiments.options import CELL_METRICS, FROZEN
from skeattn.experiments.paper import BACKBONES, DATASETS, TABLES, Column, Line, PaperTable
from skeattn.experiments.run import Run, stated
from skeattn.models.readout import split_source
from skeattn.registry import MODELS
from skeattn.results.ensemble import FUSED, fuse_files
from skeattn.results.parts import read_parts
from skeattn.results.provenance import completion
from skeattn.results.record import Record, read, write

FUSIONS = 'fusions'


def budget_options(budget: str, protocols: Iterable[str] = FROZEN) -> dict[str, Any]:
    """Overrides of a budget; ``'small'`` sets clips of 32 frames, and 30 epochs of fine-tuning on all labels."""
    if budget == 'full':
        return {}
    epochs = {f'protocols.{name}.train_cfg.max_epochs': 30 for name in protocols if name == 'finetune'}
    return {'dataset.pipeline.resample.num_frames': 32, **epochs}


def find_datasets() -> list[str]:
    """Data sets with a config, by their name in it; longer names with the same prefix are other settings."""
    stems = [Path(config).stem for backbone in BACKBONES for config in toolbox.configs(f'[!_]*/{backbone}_*.py')]
    names = {stem.partition('_')[2] for stem in stems}
    return sorted(name for name in names if not any(name.startswith(f'{other}_') for other in names))


def find_table(key: str, protocol: str | None = None) -> PaperTable:
    """A table by its number or name, under a different protocol if one is given (:func:`with_protocol`).

    Raises:
        ConfigError: unknown table; lists all tables. Or a table that cannot have the protocol.
    """
    if key not in TABLES:
        raise ConfigError(f'no table {key!r}; choose from {", ".join(TABLES)}')
    return TABLES[key] if protocol is None else with_protocol(TABLES[key], protocol)


def with_protocol(table: PaperTable, protocol: str) -> PaperTable:
    """A table of frozen features under a different protocol, without the paper's figures, which are not of this one.

    Args:
        table: of the paper.
        protocol: one of :data:`CELL_METRICS`.

    Raises:
        ConfigError: a line of the table has a protocol that trains the encoder.
    """
    if protocol == table.protocol:
        return table
    if not has_baselines(table):
        raise ConfigError(f'--protocol {protocol}: the rows of this table train the encoder ({table.title})')
    return replace(
        table,
        title=f'{table.title}; here by the protocol {protocol}',
        lines=tuple(replace(line, figures=()) for line in table.lines if line.method),
        protocol=protocol,
        metric=CELL_METRICS[protocol],
    )


def add_columns(table: PaperTable, datasets: Iterable[str]) -> list[Column]:
    """The paper's columns, and further ones for each other data set and each backbone of the table.

    Raises:
        ConfigError: a data set has no config; lists data sets with configs.
    """
    datasets_with_config = find_datasets()
    columns = {(column.dataset, column.backbone): column for column in table.columns}
    backbones = dict.fromkeys(column.backbone for column in table.columns)
    for dataset in datasets:
        if dataset not in datasets_with_config and not any(column.dataset == dataset for column in table.columns):
            raise ConfigError(f'--dataset {dataset}: no config for it; choose from {", ".join(datasets_with_config)}')
        for backbone in backbones:
            title = DATASETS.get(dataset, dataset)
            title = title if len(backbones) == 1 else f'{title}, {BACKBONES[backbone]}'
            columns.setdefault((dataset, backbone), Column(dataset, backbone, title))
    return list(columns.values())


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        table: of the cell.
        line: its row.
        column: its column.
        budget: of training.
        overrides: of every config, by dotted key.
    """

    table: PaperTable
    line: Line
    column: Column
    budget: str = 'full'
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        """The protocol of its evaluation."""
        return self.line.protocol or self.table.protocol

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols that are evaluated together, so that tables share records."""
        return FROZEN if self.protocol in FROZEN else (self.protocol,)

    @cached_property
    def changes(self) -> dict[str, Any]:
        """Overrides of its line, without values that the config has already, so that tables share runs."""
        content = read_config(self.config).to_dict() if self.config and self.line.options else {}
        return {key: value for key, value in self.line.options.items() if _lookup(content, key) != value}

    @property
    def options(self) -> dict[str, Any]:
        """Overrides of the config, without the stream."""
        return {**budget_options(self.budget, self.protocols), **self.overrides, **self.changes}

    @property
    def about(self) -> list[str]:
        """Words that distinguish its runs from others of the method in the table, beside stream and seed."""
        several = len({column.backbone for column in self.table.columns}) > 1
        return [
            *([self.column.backbone] if several else []),
            *(f'{key.rpartition(".")[2]}={value}' for key, value in self.changes.items()),
            *([] if self.line.trained or self.line.name else ['from scratch']),
        ]

    @cached_property
    def configs(self) -> list[str]:
        """Possible paths of its config, the best first; empty for figures from other publications."""
        name = f'{self.column.backbone}_{self.column.dataset}'
        return [f'configs/{self.line.method}/{name}{end}.py' for end in self.line.variants if self.line.method]

    @cached_property
    def config(self) -> str | None:
        """The config; None if there is none."""
        return next((path for path in self.configs if toolbox.locate(path)), None)

    def value(self, record: Record, without_copies: bool = False) -> float | None:
        """The number in a record, in percent; None if the record belongs to a different cell.

        Args:
            record: of a run or an ensemble.
            without_copies: of the test clips that equal no training clip; None where the record has no such number.
        """
        return self._number(record, without_copies) if self.further(record) == {} else None

    def further(self, record: Record) -> dict[str, str] | None:
        """Overrides of a record beside those of the cell; None if the record belongs to a different cell."""
        if self._number(record) is None:  # before the options, for which the config is read
            return None
        streams = ('stream', f'protocols.{self.protocol}.stream')
        own, options = (
            {key: value for key, value in given.items() if key not in streams}
            for given in (stated(self.options), record.cfg_options)
        )
        if not own.items() <= options.items():
            return None
        return {key: value for key, value in options.items() if key not in own}

    def _number(self, record: Record, without_copies: bool = False) -> float | None:
        """The number in a record of the config; overrides other than the stream are ignored."""
        if record.config != self.config or bool(record.checkpoint) != self.line.trained:
            return None
        metric = f'{self.protocol}/{self.table.metric}'
        tuned = record.cfg_options.get(f'protocols.{self.protocol}.stream')
        for source, part in record.sources.items():
            streams = [tuned] if tuned else sorted(part.streams)
            fits = part.readout == self.readout and streams == sorted(self.line.streams)
            raw = split_source(source)[0] == RAW_SOURCE
            if fits and raw == (self.line.source == RAW_SOURCE) and metric in part.metrics:
                return (part.metrics_without_copies if without_copies else part.metrics).get(metric)
        return None

    @property
    def readout(self) -> str:
        """The readout of its features: that of the line or of the table."""
        return self.line.readout or readout_of(self.overrides, self.protocol)

    def runs(self, seed: int) -> dict[str, Run]:
        """Stream -> run; a single run for features of several streams that a method trains together."""
        assert self.config is not None and self.line.method is not None
        cfg = read_config(self.config, self.options)
        name, trained = self.line.name or method_name(self.line.method, cfg), self.line.trained
        if self.line.source == RAW_SOURCE:
            about = ' '.join(self.about)
            sources = raw_sources([readout_of(self.overrides, self.protocol)])
            return {'joint': Run(name, self.config, seed, self.options, trained, sources, self.protocols, about)}
        if isinstance(cfg.stream, str):
            streams = {stream: {'stream': stream} if stream != cfg.stream else {} for stream in self.line.streams}
        elif self.protocol in FROZEN:
            streams = {'+'.join(self.line.streams): {}}
        else:  # one of the encoders is trained further
            streams = {stream: {f'protocols.{self.protocol}.stream': stream} for stream in self.line.streams}
        return {
            stream: Run(
                name,
                self.config,
                seed,
                {**self.options, **changes},
                trained,
                protocols=self.protocols,
                about=' '.join([stream, *self.about]),
            )
            for stream, changes in streams.items()
        }


@dataclass(frozen=True)
class PlannedEnsemble:
    """Several streams of one method, as one classifier.

    Args:
        cell: the cell that it fills.
        parts: stream -> run.
    """

    cell: Cell
    parts: Mapping[str, Run]

    def __str__(self) -> str:
        words = ' '.join([self.first.name, *self.cell.about, f'seed {self.first.seed}'])
        return f'fusion of {words}, {self.cell.protocol}, {", ".join(self.parts)}'

    @property
    def first(self) -> Run:
        """The run of its first part."""
        return next(iter(self.parts.values()))

    def path(self, root: Path) -> Path:
        """The file of its record."""
        first = self.first.path(root)
        words = first.parent.name, self.cell.protocol, '_'.join(self.parts), first.stem[-8:]
        return root / FUSIONS / f'{"-".join(words)}.json'

    def make(self, root: Path) -> None:
        """Write the record, unless it is newer than the records of its parts.

        The weights are chosen on held-out training subjects if the protocol holds some out; otherwise they are equal.

        Raises:
            SkeAttnError: parts are not finished, or do not fit together.
        """
        paths = {stream: run.path(root) for stream, run in self.parts.items()}
        missing = [stream for stream, path in paths.items() if not path.is_file()]
        if missing:
            raise SkeAttnError(f'no {self}: {" and ".join(missing)} missing; run the same command again')
        out, protocol, run = self.path(root), self.cell.protocol, self.first
        if out.is_file() and out.stat().st_mtime_ns >= max(path.stat().st_mtime_ns for path in paths.values()):
            return
        try:
            parts = [part for path in paths.values() for part in read_parts(path, protocol)]
            weights = None if all(part.file.heldout for part in parts) else EQUAL
            # Fine-tuned encoders of a method that trains its streams together are recorded with the same streams.
            together = len({part.stream for part in parts}) == 1
            record = fuse_files([*paths.values()], protocol, weights, same_stream=together).record()
            sources = {FUSED: replace(record.sources[FUSED], streams=[*paths])}
        except SkeAttnError as error:
            raise SkeAttnError(f'no {self}: {error}') from error
        record = replace(
            record,
            name=run.name,
            sources=sources,
            config=run.config,
            cfg_options=stated(self.cell.options),
            seed=run.seed,
            checkpoint=[path.parent.name for path in paths.values()] if run.trained else None,
            **completion(),
        )
        write(out, record)


@dataclass
class Plan:
    """Runs and ensembles of a table.

    Args:
        cells: the cells to fill.
        runs: without repetition, in the order in which they start.
        ensembles: of the runs.
        notes: on cells that stay empty.
    """

    cells: list[Cell]
    runs: list[Run]
    ensembles: list[PlannedEnsemble]
    notes: list[str]

    @property
    def folders(self) -> list[Path]:
        """The packed sets of its runs."""
        return [*dict.fromkeys(folder for run in self.runs for folder in folders_of(run.written.dataset.data))]

    def records(self, root: Path) -> dict[Path, Record]:
        """The existing records by their files, with the overrides as the plan states them.

        A run finds its record by what it computes, so an override that changes nothing may stand in one of the two.

        Raises:
            RecordError: a record is not valid.
        """
        options = {run.path(root): run.options for run in self.runs}
        options |= {ensemble.path(root): ensemble.cell.options for ensemble in self.ensembles}
        return {path: replace(read(path), cfg_options=stated(own)) for path, own in options.items() if path.is_file()}


def find_folders(cells: Iterable[Cell]) -> list[Path]:
    """The packed sets of cells."""
    cfgs = [read_config(cell.config, cell.options) for cell in cells if cell.config]
    return [*dict.fromkeys(folder for cfg in cfgs for folder in folders_of(cfg.dataset.data))]


def plan_paper_tables(cells: Sequence[Cell], seeds: Sequence[int]) -> Plan:
    """Runs and ensembles of cells, ordered by seed, for an early first table.

    Every model is built once. A cell without config stays empty, and so does a cell of a sweep whose value does not fit
    the backbone.

    Raises:
        ConfigError: a model cannot be built although its line changes nothing.
    """
    plan = Plan([], [], [], [])
    for cell in cells:
        if not cell.config:
            plan.notes.append(f'{cell.configs[-1]} does not exist; its cells stay empty')
            continue
        try:
            check_models(cell.runs(seeds[0]).values())
        except ConfigError as error:
            if not cell.line.options:
                raise
            plan.notes.append(f'{error}; its cell stays empty')
            continue
        plan.cells.append(cell)
    plan.notes = [*dict.fromkeys(plan.notes)]
    for seed in seeds:
        for cell in plan.cells:
            runs = cell.runs(seed)
            plan.runs += [run for run in runs.values() if run not in plan.runs]
            plan.ensembles += [PlannedEnsemble(cell, runs)] if len(runs) > 1 else []
    return plan


def _lookup(values: Any, key: str) -> Any:
    """The value of nested dicts under a dotted key; None if there is none."""
    for part in key.split('.'):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def method_name(method: str, cfg: Config) -> str:
    """Name of a method in a table: its class, or its folder if they differ."""
    return cfg.model.type if cfg.model.type.lower() == method else method


def check_models(runs: Iterable[Run]) -> None:
    """Build every model once, so that wrong settings are reported before any training."""
    for run in {(run.config, str(run.options)): run for run in runs}.values():
        try:
            MODELS.build(run.cfg.model)
        except ConfigError as error:
            raise ConfigError(f'{run.config}: {error}') from error
