"""The numbers of a published encoder: taken from records, and compared with those of another evaluation."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skeattn.errors import ConfigError, RecordError
from skeattn.models.readout import split_source
from skeattn.protocols.plan import trains
from skeattn.registry import EVALUATORS
from skeattn.results import record as records
from skeattn.results.record import Record

Result = Mapping[str, Any]
"""The numbers of one protocol on the features of one source: ``protocol``, ``source``, ``metrics``, and how they came
about: ``settings``, ``seed``, ``autocast``, ``data``, ``split``, ``manifest_sha256``, ``clips``, ``record``."""
RAW = 'raw'
LEAST = 0.1
"""Percentage points by which a number may differ on another machine, at least one clip."""


def read_results(files: list[Path], digest: str) -> tuple[list[Record], list[Result]]:
    """Records of one checkpoint and their results.

    Args:
        files: records.
        digest: sha256 of the checkpoint.

    Raises:
        RecordError: a file is not a record, or that of other weights.
        ConfigError: a record is of a transfer or of clips of another length, or two have different numbers.
    """
    found: dict[tuple[str, str], Result] = {}
    read = [records.read(file) for file in files]
    for file, record in zip(files, read, strict=True):
        if record.checkpoint_sha256 != digest:
            raise RecordError(
                f'{file} is the record of other weights ({record.checkpoint}, sha256 '
                f'{str(record.checkpoint_sha256)[:12]}…, not {digest[:12]}…); evaluate this checkpoint: skeattn test'
            )
        if record.dataset:
            raise ConfigError(f'{file} evaluates on another data set, {record.dataset}; give records without --dataset')
        frames = record.num_frames or {}
        if None not in frames.values() and len({*frames.values()}) > 1:
            raise ConfigError(f'{file} evaluates clips of another length than those of the training, {frames}')
        for result in results_of(record, file.name):
            key = (result['source'], result['protocol'])
            if key in found and found[key]['metrics'] != result['metrics']:
                raise ConfigError(f'{file} and {found[key]["record"]} have different numbers of {key[1]}; give one')
            found[key] = result
    return read, list(found.values())


def results_of(record: Record, name: str) -> Iterator[Result]:
    """The results of a record, without those of raw coordinates."""
    for source, part in record.sources.items():
        if split_source(source)[0] == RAW:
            continue
        for protocol in part.protocols:
            start = f'{protocol}/'
            metrics = {key.removeprefix(start): value for key, value in part.metrics.items() if key.startswith(start)}
            yield {
                'protocol': protocol,
                'source': source,
                'metrics': {key: value for key, value in metrics.items() if math.isfinite(value)},
                'settings': record.protocols.get(protocol),
                'seed': record.seed,
                'autocast': record.autocast,
                'data': Path(record.data).name,
                'split': record.split,
                'manifest_sha256': record.manifest_sha256,
                'clips': {key: record.clips[key] for key in ('train', 'test') if key in record.clips},
                'record': name,
            }


def can_be_repeated(result: Result) -> bool:
    """Whether a result needs the features and evaluators of this process alone; fine-tuning trains for hours."""
    settings = result['settings']
    plain = isinstance(settings, Mapping) and not any(isinstance(value, Mapping) for value in settings.values())
    return plain and '_scope_' not in settings and settings.get('type') in EVALUATORS.names() and not trains(settings)


def differences(result: Result, metrics: Mapping[str, float], clips: int) -> dict[str, tuple[float, float]]:
    """Metric -> published and found value, where they differ by more than one clip and :data:`LEAST`.

    Args:
        result: published.
        metrics: of another evaluation.
        clips: number of test clips.
    """
    allowed = max(LEAST, 100 / clips) + 1e-6
    pairs = {name: (value, metrics.get(name, math.nan)) for name, value in result['metrics'].items()}
    return {name: pair for name, pair in pairs.items() if not abs(pair[0] - pair[1]) <= allowed}
