"""Tables of the paper from records, with ours beside the paper's figures."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tabulate import tabulate

from skeattn.errors import DataError
from skeattn.experiments.baselines import RAW, RAW_SOURCE, baseline_lines, readout_of
from skeattn.experiments.options import BUDGETS, FORMATS
from skeattn.experiments.paper import Column, Line, PaperTable
from skeattn.experiments.plan import FUSIONS, Cell, add_columns, find_datasets
from skeattn.files import write_json
from skeattn.models.readout import MEAN, split_source
from skeattn.reading import read_json
from skeattn.results.ensemble import FUSED
from skeattn.results.record import Record
from skeattn.results.report import mean_std

NONE, DOUBTFUL = '–', ' [?]'
SYMBOL = re.compile(r'\b([Lq])\\_(n?s)\b')
"""Symbols of the paper with an index, as escaped for LaTeX."""


def read_records(folders: Iterable[Path]) -> dict[Path, Record]:
    """File -> record, for the records of runs and ensembles in folders and their subfolders.

    Raises:
        DataError: a folder does not exist.
        RecordError: a record is not valid.
    """
    records = {}
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f'no folder {folder} with records; check the path')
        for path in sorted([*folder.glob('*.json'), *folder.glob('*/*.json')]):
            record = read_record(path)
            if record:
                records[path] = record
    return records


def read_record(path: Path) -> Record | None:
    """The record of a run of a config; None if the file is no record.

    Raises:
        RecordError: the record is not valid.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    ours = isinstance(content, dict) and {'config', 'seed', 'sources'} <= content.keys()
    return Record.from_dict(content, str(path)) if ours else None


@dataclass
class FilledTable:
    """A table filled from records.

    Args:
        table: of the paper.
        columns: data sets and backbones, in order; columns that the paper lacks are shown only if they have records.
        records: file -> record.
        datasets: data sets whose columns of ours are shown even if they are empty.
        budgets: of training; each has separate columns.
        overrides: of every config, by dotted key, that the records must have.
    """

    table: PaperTable
    columns: Sequence[Column]
    records: Mapping[Path, Record]
    datasets: Sequence[str] = ()
    budgets: Sequence[str] = BUDGETS
    overrides: Mapping[str, Any] | None = None

    def cell(self, line: Line, column: Column, budget: str) -> Cell:
        """The cell of one of our columns."""
        return Cell(self.table, line, column, budget, self.overrides or {})

    @cached_property
    def baselines(self) -> tuple[Line, ...]:
        """The lines of the baselines; those without a record are not shown."""
        return baseline_lines(self.table, readout_of(self.overrides or {}, self.table.protocol))

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the table, and those of the baselines."""
        return self.table.lines + self.baselines

    @cached_property
    def ours(self) -> dict[tuple[Column, str], list[dict[int, Path]]]:
        """(column, budget) -> for each line the newest record of each seed."""
        columns = {}
        ordered = sorted(self.records.items(), key=lambda item: item[1].finished or '')
        for column in self.columns:
            for budget in self.budgets:
                cells = [self.cell(line, column, budget) for line in self.lines]
                seeds = [
                    {
                        record.seed: path
                        for path, record in ordered
                        if record.seed is not None and cell.value(record) is not None
                    }
                    for cell in cells
                ]
                if any(seeds) or (column.dataset in self.datasets and budget == self.budgets[0]):
                    columns[column, budget] = seeds
        return columns

    @cached_property
    def copied(self) -> set[tuple[Column, str]]:
        """The columns of ours with test clips that equal a training clip; a second column leaves them out."""
        return {
            key
            for key, lines in self.ours.items()
            for line, seeds in zip(self.lines, lines, strict=True)
            if any(self.cell(line, *key).value(self.records[path], True) is not None for path in seeds.values())
        }

    @property
    def used(self) -> list[Path]:
        """The records behind the table."""
        return sorted({path for lines in self.ours.values() for seeds in lines for path in seeds.values()})

    @property
    def shown(self) -> list[Column]:
        """The paper's columns and those with records of ours."""
        return [column for column in self.columns if column in self.table.columns or self._budgets(column)]

    @property
    def headings(self) -> list[str]:
        """Labels, followed by the paper's column and ours for each data set."""
        headings = [*self.table.headings]
        for column in self.shown:
            title = column.title + DOUBTFUL * column.doubtful
            headings += [f'{title}\npaper'] if self._printed(column) else []
            for budget in self._budgets(column):
                readout = self.cell(self.table.lines[0], column, budget).readout
                words = ['ours', *([budget] if budget != 'full' else []), *([readout] if readout != MEAN else [])]
                headings.append(f'{title}\n{", ".join(words)}')
                headings += [f'{title}\nwithout copies'] if (column, budget) in self.copied else []
        return headings

    @property
    def rows(self) -> list[list[str]]:
        """Text of the cells; ours as mean ± sample deviation over seeds, and the number of seeds."""
        rows = []
        for number, line in enumerate(self.lines):
            if line in self.missing:
                continue
            row = [*line.labels[:-1], line.labels[-1] + DOUBTFUL * line.doubtful]
            for column in self.shown:
                if self._printed(column):
                    figure = line.figures[self.table.columns.index(column)] if line.figures else None
                    row.append(NONE if figure is None else f'{figure:.1f}')
                for budget in self._budgets(column):
                    cell = self.cell(line, column, budget)
                    records = [self.records[path] for path in self.ours[column, budget][number].values()]
                    for without in (False, True) if (column, budget) in self.copied else (False,):
                        values = [cell.value(record, without) for record in records]
                        row.append(over_seeds([value for value in values if value is not None]))
            rows.append(row)
        return rows

    @property
    def missing(self) -> list[Line]:
        """The lines of the baselines without a record."""
        of_lines = zip(self.lines, *self.ours.values(), strict=True)
        return [line for line, *columns in of_lines if line in self.baselines and not any(columns)]

    def _printed(self, column: Column) -> bool:
        return column in self.table.columns and any(line.figures for line in self.table.lines)

    def _budgets(self, column: Column) -> list[str]:
        return [budget for other, budget in self.ours if other == column]

    @property
    def note(self) -> str:
        """Explanation of the numbers, and of records that are not included."""
        epochs = (
            '"paper": best epoch on the test clips, as the papers print; "ours": last epoch, nothing chosen on test '
            'clips,'
        )
        protocols = dict.fromkeys(line.protocol or self.table.protocol for line in self.table.lines)
        metric = ', '.join(f'{name}/{self.table.metric}' for name in protocols)
        weights = 'Fusions (3S) have weights chosen on held-out training subjects if the protocol holds some out.'
        lines = [
            f'{self.table.title}. Top-1 on the test clips in % ({metric}).',
            epochs,
            f'mean ± standard deviation over seeds, (number of seeds); {NONE} no number; [?] doubtful.',
            weights,
            *self._note_of_baselines(),
            *(['"without copies": the test clips that equal no training clip.'] if self.copied else []),
        ]
        if self.overrides:
            lines.append(f'Every run of ours has these overrides of its config: {overrides_text(self.overrides)}.')
        return '\n'.join([*lines, *self.hints])

    def _note_of_baselines(self) -> list[str]:
        """A line if rows of the baselines are missing."""
        if not self.baselines:
            return [f'No row of {RAW}: the protocol trains an encoder. An untrained encoder is trained from scratch.']
        names = ', '.join(' '.join(line.labels).strip() for line in self.missing)
        return [f'No records of {names}; skeattn table evaluates them.'] if names else []

    @property
    def hints(self) -> list[str]:
        """A line for each data set without a number of ours, if its records have other overrides than requested."""
        lines = []
        for column in self.columns:
            if any(any(seeds) for (other, _), seeds in self.ours.items() if other == column):
                continue
            cells = [Cell(self.table, line, column, budget) for line in self.table.lines for budget in self.budgets]
            texts = []
            for record in self.records.values():
                further = [more for cell in cells if (more := cell.further(record)) is not None]
                # The fewest further overrides over all lines and budgets that the record could belong to.
                texts += [overrides_text(min(further, key=len)) or 'none'] if further else []
            if texts:
                number = f'{len(texts)} record{"s" * (len(texts) > 1)} of {column.title}'
                others = ' or '.join(dict.fromkeys(texts))
                lines.append(f'{number} with other overrides: {others}; see --cfg-options.')
        return lines

    def render(self, fmt: str = 'simple') -> str:
        """The table as text; ``fmt`` is one of :data:`FORMATS`."""
        headings = self.headings if fmt == 'simple' else [text.replace('\n', ' ') for text in self.headings]
        labels = len(self.table.headings)
        align = (*['left'] * labels, *['right'] * (len(headings) - labels))
        text = tabulate(self.rows, headings, tablefmt=FORMATS[fmt], disable_numparse=True, colalign=align)
        return SYMBOL.sub(r'$\1_{\2}$', text) if fmt == 'latex' else text


def fill(
    table: PaperTable,
    records: Mapping[Path, Record],
    datasets: Sequence[str] | None = None,
    budgets: Sequence[str] = BUDGETS,
    overrides: Mapping[str, Any] | None = None,
) -> FilledTable:
    """A table filled from records.

    Args:
        table: of the paper.
        records: file -> record.
        datasets: data sets whose columns are shown; by default those of the paper and those with records.
        budgets: of the records.
        overrides: that the records must have beside those of table and budget.

    Raises:
        ConfigError: a data set is unknown.
    """
    if datasets is None:
        return FilledTable(table, add_columns(table, find_datasets()), records, (), budgets, overrides)
    columns = [column for column in add_columns(table, datasets) if column.dataset in datasets]
    return FilledTable(table, columns, records, datasets, budgets, overrides)


def overrides_text(overrides: Mapping[str, Any]) -> str:
    """Overrides in the form of ``--cfg-options``."""
    return ' '.join(f'{key}={value}' for key, value in overrides.items())


def over_seeds(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation with one decimal, and the number of values in brackets."""
    return f'{mean_std(values)} ({len(values)})' if values else NONE


def export(filled: FilledTable, folder: Path) -> list[Path]:
    """Copy the records of a table, without paths of this machine; the names state config, options and seed."""
    written = []
    for path in filled.used:
        record = filled.records[path]
        options = [f'{key.rpartition(".")[2]}_{value}' for key, value in record.cfg_options.items()]
        fused = [FUSIONS.removesuffix('s')] if list(record.sources) == [FUSED] else []
        words = [*Path(str(record.config)).with_suffix('').parts[1:], *options, *record.protocols, *fused]
        raw = all(split_source(source)[0] == RAW_SOURCE for source in record.sources)
        untrained = [] if record.checkpoint else ['raw' if raw else 'untrained']
        name = re.sub(r'[^A-Za-z0-9.]+', '_', '_'.join([*words, *untrained, f'seed{record.seed}']))
        write_json(folder / f'{name}.json', portable(record.to_dict()))
        written.append(folder / f'{name}.json')
    return written


def portable(value: Any) -> Any:
    """The content of a record with absolute paths reduced to their last part."""
    if isinstance(value, Mapping):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith('/') else value
