"""Pages on published encoders: the model card of one, and the index of many, for people and for programs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

from skeattn.fetch import ENTRY
from skeattn.files import write_text
from skeattn.results import record as records_file
from skeattn.results.record import Record, SourceRecord
from skeattn.zoo.entry import Entry, read_entry

CARD = 'README.md'
INDEX, PAGE = 'model-index.yml', 'encoders.md'
TASK = 'Self-Supervised Skeleton Action Recognition'
ALL, WITHOUT = 'all', 'without copies'
"""Test clips of a row: all, or those that equal no training clip."""

Found = Mapping[str, tuple[Entry, Mapping[str, Record]]]
"""Folder -> its entry and records."""


def model_card(entry: Entry, records: Mapping[str, Record]) -> str:
    """The page of an encoder as Markdown.

    Args:
        entry: of the encoder.
        records: file name -> record.
    """
    facts = [(f'`{key}`', _words(value)) for key, value in entry.facts.items()]
    parts = [
        f'# {entry.name}',
        f'Encoder {entry.facts.get("backbone", "")}, trained by {entry.facts.get("method", "an unknown method")} '
        f'on {entry.facts.get("data", "unknown data")}.',
        '## Use',
        _usage(entry),
        '## Facts',
        _table(['fact', 'value'], facts),
        '## Results',
        *[part for name, record in records.items() for part in _of_record(name, record)],
        *([] if records else ['No evaluation was published with these weights.']),
    ]
    return '\n\n'.join(parts) + '\n'


def _usage(entry: Entry) -> str:
    lines = [
        'from skeattn.apis import load_encoder',
        '',
        f"encoder = load_encoder('{entry.name}')  # below $SKEATTN_ZOO; or the path of this folder",
        'features = encoder.embed(clips)',
    ]
    if entry.classifier:
        lines.append(f"classifier = encoder.load_few_shot('{entry.name}/{entry.classifier.file}')")
    text = '\n'.join(['```python', *lines, '```'])
    return f'{text}\n\n`skeattn verify` with the path of this folder checks its digests and computes its numbers again.'


def _of_record(name: str, record: Record) -> list[str]:
    clips = ', '.join(f'{key} {value}' for key, value in record.clips.items())
    versions = ', '.join(f'{key} {value}' for key, value in record.versions.items())
    told = {'clips': clips, 'versions': versions, 'device': record.device, 'finished': record.finished}
    lines = [f'`{name}`: {record.data}, split {record.split}, seed {record.seed}.']
    lines += [f'{key}: {value}.' for key, value in told.items() if value]
    return [f'### {record.data}, {record.split}', ' '.join(lines), *_metric_tables(record)]


def _metric_tables(record: Record) -> list[str]:
    """A table for each protocol: a row for each source and kind of test clips, a column for each metric."""
    metrics = dict.fromkeys(key for source in record.sources.values() for key in source.metrics)
    tables = []
    for protocol in dict.fromkeys(key.partition('/')[0] for key in metrics):
        columns = [key for key in metrics if key.partition('/')[0] == protocol]
        rows = [
            [name, source.readout, kind, *(_number(values.get(column)) for column in columns)]
            for name, source in record.sources.items()
            for kind, values in _kinds(source)
            if any(column in values for column in columns)
        ]
        headings = ['source', 'readout', 'test clips', *(column.partition('/')[2] for column in columns)]
        tables.append(f'**{protocol}**\n\n{_table(headings, rows)}')
    return tables


def _kinds(source: SourceRecord) -> list[tuple[str, dict[str, float]]]:
    kinds = [(ALL, source.metrics), (WITHOUT, source.metrics_without_copies)]
    return [(kind, metrics) for kind, metrics in kinds if metrics]


def index(folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write ``model-index.yml``, in the form of OpenMMLab, and ``encoders.md`` on all encoders of a folder.

    Returns:
        the two files.

    Raises:
        CheckpointError, RecordError: an entry or a record is damaged.
    """
    folder = Path(folder)
    found = {}
    for path in sorted(file.parent for file in folder.glob(f'[!.]*/{ENTRY}')):
        entry = read_entry(path)
        found[path.name] = entry, read_records(path, entry)
    text = yaml.safe_dump(_model_index(found), sort_keys=False, allow_unicode=True, width=120)
    write_text(folder / INDEX, text)
    write_text(folder / PAGE, _page(found))
    return folder / INDEX, folder / PAGE


def read_records(folder: Path, entry: Entry) -> dict[str, Record]:
    """The records of a published encoder, by file name."""
    return {one.file: records_file.read(folder / one.file) for one in entry.records}


def _model_index(found: Found) -> dict[str, Any]:
    methods = sorted({str(entry.facts.get('method')) for entry, _ in found.values()})
    return {
        'Collections': [{'Name': method, 'Metadata': {'Tasks': [TASK]}} for method in methods],
        'Models': [_model(folder, entry, records) for folder, (entry, records) in found.items()],
    }


def _model(folder: str, entry: Entry, records: Mapping[str, Record]) -> dict[str, Any]:
    facts = entry.facts
    metadata = {
        'Training Data': facts.get('data'),
        'Architecture': facts.get('backbone'),
        'Epochs': facts.get('epoch'),
        'Config': next((record.config for record in records.values() if record.config), None),
        'Values': facts.get('values'),
    }
    return {
        'Name': entry.name,
        'In Collection': str(facts.get('method')),
        'README': f'{folder}/{CARD}',
        'Metadata': {key: value for key, value in metadata.items() if value is not None},
        'Results': [
            {
                'Task': TASK,
                'Dataset': f'{record.data} {record.split}, {name}, test clips: {kind}',
                'Metrics': dict(values),
            }
            for record in records.values()
            for name, source in record.sources.items()
            for kind, values in _kinds(source)
        ],
        'Weights': f'{folder}/{entry.weights.file}',
    }


def _page(found: Found) -> str:
    if not found:
        return '# Published encoders\n\nNone yet; `skeattn publish CHECKPOINT --out FOLDER` adds one.\n'
    keys = ('method', 'backbone', 'stream', 'layout', 'data')
    rows = [
        [f'[{entry.name}]({folder}/{CARD})', *(_words(entry.facts.get(key, '')) for key in keys), _best(records)]
        for folder, (entry, records) in found.items()
    ]
    note = 'The number is that of the first metric of the first record; the page of an encoder has all of them.'
    return '\n\n'.join(['# Published encoders', _table(['name', *keys, 'number'], rows), note]) + '\n'


def _best(records: Mapping[str, Record]) -> str:
    first = ((key, value) for record in records.values() for source in record.sources.values()
             for key, value in source.metrics.items())  # fmt: skip
    return next((f'{key} {_number(value)}' for key, value in first), '')


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.2f}'


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ', '.join(f'{key} {item}' for key, item in value.items())
    return ', '.join(map(str, value)) if isinstance(value, list) else str(value)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return tabulate(
        [[cell.replace('|', '\\|') for cell in row] for row in rows], headings, 'github', disable_numparse=True
    )
