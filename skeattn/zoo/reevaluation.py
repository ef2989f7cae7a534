"""A published encoder checked: digests, facts, and the numbers of its records computed again."""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from skeattn import cli
from skeattn.checkpoint import read_checkpoint, training_config
from skeattn.datasets.union import is_packed
from skeattn.engine.amp import AutocastOptimWrapper
from skeattn.engine.build import check_components, config_of
from skeattn.engine.config import resolve_config
from skeattn.engine.verification import verify_checkpoint
from skeattn.errors import RecordError
from skeattn.evaluation.embedding_map import EmbeddingMap
from skeattn.protocols.evaluate import Evaluation
from skeattn.protocols.plan import trains
from skeattn.registry import EVALUATORS
from skeattn.results.record import Record
from skeattn.zoo.card import WITHOUT, read_records
from skeattn.zoo.entry import Entry, read_entry
from skeattn.zoo.publish import entry_facts

ON_CPU, ELSEWHERE = 1e-6, 0.1
"""Largest difference of equal numbers."""


class Row(NamedTuple):
    """A number of a record, and what was found; NaN if it was not computed."""

    record: str
    source: str
    metric: str
    published: float
    found: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the two are equal within the tolerance."""
        return abs(self.published - self.found) <= self.tolerance


@dataclass
class Reevaluation:
    """The result of :func:`reevaluate`.

    Attributes:
        rows: the numbers that were computed again.
        skipped: what was not, a line each.
        faults: settings and data that differ, a line each.
    """

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.faults and all(row.agrees for row in self.rows)


def check(folder: str | os.PathLike[str]) -> list[str]:
    """What is wrong with the files of a published encoder, a line each.

    Raises:
        CheckpointError: the entry is damaged.
    """
    folder = Path(folder)
    entry = read_entry(folder)
    if faults := entry.faults(folder):
        return faults
    weights = folder / entry.weights.file
    if faults := verify_checkpoint(weights).faults:
        return faults
    found = entry_facts(weights)
    keys = sorted(key for key in {*found, *entry.facts} if found.get(key) != entry.facts.get(key))
    differing = [f'{key}: the entry says {entry.facts.get(key)!r}, the weights {found.get(key)!r}' for key in keys]
    foreign = [f'{name} is the record of another checkpoint' for name, record in read_records(folder, entry).items()
               if record.checkpoint_sha256 != entry.checkpoint_sha256]  # fmt: skip
    return differing + foreign


def reevaluate(
    folder: str | os.PathLike[str], data: str | os.PathLike[str] | None = None, device: str | None = None
) -> Reevaluation:
    """Evaluate a published encoder again, with the settings of its records.

    Protocols that train the network, maps, and transfers to another data set are skipped. Numbers of two evaluations
    on a CPU agree within 1e-6, others within 0.1.

    Args:
        folder: of the encoder.
        data: packed set of the evaluations; by default that of each record.
        device: by default the accelerator if there is one.

    Raises:
        CheckpointError, RecordError: the folder is damaged.
        ConfigError, DataError: an evaluation cannot run on the data.
    """
    folder = Path(folder)
    entry, result = read_entry(folder), Reevaluation()
    for name, record in read_records(folder, entry).items():
        place = _data(record, data)
        if record.dataset is not None:
            result.skipped.append(f'{name}: a transfer to {record.dataset}')
        elif not is_packed(place):
            result.skipped.append(f'{name}: {record.data} is no packed set here; pass --data FOLDER')
        else:
            _again(folder, entry, name, record, place, device, result)
    return result


def _again(
    folder: Path, entry: Entry, name: str, record: Record, data: Any, device: str | None, result: Reevaluation
) -> None:
    """Evaluate one record again: sources with the same protocols together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for source, stored in record.sources.items():
        names = dict.fromkeys(key.partition('/')[0] for key in stored.metrics)
        left = [one for one in names if not _repeatable(record.protocols.get(one))]
        result.skipped += [f'{name}: {source}, {one}' for one in left]
        groups.setdefault(tuple(one for one in names if one not in left), []).append(source)
    weights = folder / entry.weights.file
    for protocols, sources in groups.items():
        if not protocols:
            continue
        cfg = evaluation_config(weights, record, data)
        evaluation = Evaluation(cfg, weights, protocols, sources, record.seed or 0, device=device)
        result.faults += _differences(name, record, evaluation, protocols)
        with tempfile.TemporaryDirectory() as scratch:
            found = evaluation.run(Path(scratch) / 'again.json')
        both_on_cpu = {record.device, evaluation.device} == {'cpu'}
        for source in sources:
            result.rows += _rows(name, source, record, found, protocols, ON_CPU if both_on_cpu else ELSEWHERE)


def evaluation_config(weights: Path, record: Record, data: Any) -> Config:
    """The config of a record's evaluation: network and pipeline of the weights, settings of the record.

    Both may come from anybody: components have registered names, so that no module is imported, and nothing is
    initialised by the config, as an ``init_cfg`` of the file could read any other file.

    Raises:
        CheckpointError: a component of weights or record is not registered.
        RecordError: an override of the record does not fit the config of the weights.
    """
    stored = training_config(read_checkpoint(weights)['meta'])
    cfg = config_of(weights)
    cfg.model = Config(dict(model=_without(cfg.model.to_dict(), 'init_cfg'))).model
    options = {key: cli.parse_value(text) for key, text in record.cfg_options.items() if key.startswith('dataset.')}
    try:
        cfg.merge_from_dict(options)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise RecordError(f'the overrides of {record.name} do not fit {weights}: {str(error)[:120]}') from error
    check_components(f'the record of {record.name}', cfg.dataset)
    cfg.dataset.data, cfg.dataset.split = data, _listed(record.split)
    own, trained = (
        item if isinstance(item := stored.get(key), Mapping) else {} for key in ('evaluation', 'optim_wrapper')
    )
    as_trained = own.get('autocast', trained.get('type') == AutocastOptimWrapper.__name__)
    autocast = bool(as_trained if record.autocast is None else record.autocast)
    cfg.evaluation = dict(batch_size=own.get('batch_size', 256), autocast=autocast)
    cfg.protocols = {name: settings for name, settings in record.protocols.items() if _repeatable(settings)}
    return resolve_config(cfg)


def _repeatable(settings: Mapping[str, Any] | None) -> bool:
    """Whether the protocol reads features and gives the same numbers with any version of other libraries.

    Only registered names are looked up: the registry would import any module.
    """
    if not settings or settings.get('type') not in EVALUATORS.names():
        return False
    return not trains(settings) and EVALUATORS.get(settings['type']) is not EmbeddingMap


def _differences(name: str, record: Record, evaluation: Evaluation, protocols: tuple[str, ...]) -> list[str]:
    used = json.loads(json.dumps(evaluation.used))  # tuples become lists, as in records
    faults = [f'{name}: settings of {one} are {used.get(one)} today, in the record {record.protocols.get(one)}'
              for one in protocols if used.get(one) != record.protocols.get(one)]  # fmt: skip
    if record.manifest_sha256 not in (None, evaluation.facts['manifest_sha256']):
        faults.append(f'{name}: {evaluation.facts["data"]} is another data set than that of the record')
    return faults


def _rows(
    name: str, source: str, record: Record, found: Record, protocols: tuple[str, ...], tolerance: float
) -> list[Row]:
    rows = []
    for end, key in (('', 'metrics'), (f', {WITHOUT}', 'metrics_without_copies')):
        now = getattr(found.sources[source], key) if source in found.sources else {}
        rows += [
            Row(name, source, f'{metric}{end}', value, now.get(metric, math.nan), tolerance)
            for metric, value in getattr(record.sources[source], key).items()
            if metric.partition('/')[0] in protocols
        ]
    return rows


def _data(record: Record, data: str | os.PathLike[str] | None) -> Any:
    return _listed(record.data) if data is None else os.fspath(data)


def _listed(text: str) -> Any:
    """``'a + b'`` of a record as a list, one name as it is."""
    return text.split(' + ') if ' + ' in text else text


def _without(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _without(item, name) for key, item in value.items() if key != name}
    return [_without(item, name) for item in value] if isinstance(value, list | tuple) else value
