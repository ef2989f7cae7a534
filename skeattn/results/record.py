"""The record of an evaluation: its fields, its only reader and its only writer.

A record is a JSON file. ``skeattn test`` and ``skeattn ensemble`` write it; tables and pictures are made from it.
"""

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import from_json, to_json

from skeattn.errors import RecordError, shorten
from skeattn.files import write_json

VERSION = 1
_STRICT = ConfigDict(strict=True, extra='forbid')


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ProtocolRecord:
    """The result of one protocol on the features of one source; its metrics are in the :class:`SourceRecord`.

    Attributes:
        seconds: duration of the protocol.
        scores_of: epoch or K of ``per_class``, ``confusion`` and ``scores``.
        selection: metric -> how its epoch or K was chosen.
        notes: metric -> reason why it is missing.
        curves: name -> one value per epoch.
        per_class: class -> accuracy in percent, None for a class without test clips.
        confusion: numbers of clips, rows true, columns predicted.
        files: kind -> file beside the record.
        scores, scores_sha256: file of class scores beside the record, and its digest.
        labelled: training clips whose labels were used: their number ``clips``, and the digest of their names.
        device: of the protocol, if it chose its own.
        facts: other facts that the protocol reports.
    """

    seconds: float | None = None
    scores_of: str | None = None
    selection: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    per_class: dict[str, float | None] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    scores: str | None = None
    scores_sha256: str | None = None
    labelled: dict[str, int | str] | None = None
    device: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SourceRecord:
    """The results on the features of one source.

    Attributes:
        streams: streams of the features.
        readout: of the encoder's map, see :mod:`skeattn.models.readout`. Older records have the mean. For raw
            coordinates the mean stands for the whole clip, of which nothing is averaged.
        metrics: ``protocol/metric`` -> value; accuracies are in percent.
        metrics_without_copies: the same on the test clips that equal no training clip; empty if there are no copies.
        parameters: of the encoder; ``gmacs``: of a forward pass of one clip.
        protocols: name -> result.
    """

    streams: list[str] = field(default_factory=list)
    readout: str = 'mean'
    metrics: dict[str, float]
    metrics_without_copies: dict[str, float] = field(default_factory=dict)
    parameters: float | None = None
    gmacs: float | None = None
    protocols: dict[str, ProtocolRecord] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrainingRecord:
    """Known facts of the training of the weights.

    Attributes:
        seed, epochs: of the training.
        clips_seen: clips drawn, with repetition.
        seconds_per_epoch, seconds: of the training steps.
        parameters, gmacs: of a training step.
    """

    seed: int | None = None
    epochs: int | None = None
    clips_seen: int | None = None
    seconds_per_epoch: float | None = None
    seconds: float | None = None
    parameters: float | None = None
    gmacs: float | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PartRecord:
    """One stream of an ensemble: its score file, its own metrics, and its origin."""

    scores: str
    scores_sha256: str
    stream: str
    weight: float
    metrics: dict[str, float]
    heldout_top1: float | None = None
    name: str | None = None
    checkpoint_sha256: str | None = None
    record: str | None = None
    source: str | None = None
    checkpoint: str | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class EnsembleRecord:
    """The fusion of streams.

    Attributes:
        weights: part -> weight.
        selection: how the weights were chosen, see :data:`~skeattn.results.ensemble.SELECTIONS`.
        added: kind of the added scores, ``'logits'`` or ``'softmax'``.
        heldout_top1: accuracy of the fusion on held-out training clips, in percent.
        parts: the streams.
    """

    weights: dict[str, float]
    selection: str
    added: str
    heldout_top1: float | None = None
    parts: list[PartRecord] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Record:
    """An evaluation: its input, its settings and its results.

    Attributes:
        name: of the row in a table: the method, or a name from the user.
        data: folder of the packed set; ``manifest_sha256``: its digest; ``split``: its split.
        stream: of the config, a list if there are several.
        seed: of the evaluation; None for an ensemble of several seeds.
        sources: source of features -> results.
        checkpoint, checkpoint_sha256: file name and digest of the weights; None for a network before training.
        training: of the weights; None if nothing was trained.
        protocols: name -> settings.
        baselines: row -> metrics of a baseline.
        config, cfg_options: file and overrides from the user; ``config_sha256``: of the resolved config.
        model: class of the model.
        clips: numbers of clips: ``train``, ``test``, and ``copies``, the test clips that equal a training clip;
            ``unlabelled``: left out because they have no label.
        num_frames: frames of a clip, ``pretrained`` (None if unknown) and ``evaluated``.
        device: of the feature extraction; ``autocast``: whether it was in bfloat16, None in older records.
        dataset, pretrained: of a transfer, the config of the target and the facts of the pre-training.
        ensemble: the fusion of streams.
        versions, commit, dirty, hardware, threads: see :func:`~skeattn.results.provenance.environment`.
        seconds: duration of the evaluation; ``finished``: its end, in UTC.
    """

    name: str
    data: str
    split: str
    stream: str | list[str]
    seed: int | None
    sources: dict[str, SourceRecord]
    manifest_sha256: str | None = None
    checkpoint: str | list[str] | None = None
    checkpoint_sha256: str | None = None
    training: TrainingRecord | None = None
    protocols: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    config: str | None = None
    cfg_options: dict[str, str] = field(default_factory=dict)
    config_sha256: str | None = None
    model: str | None = None
    clips: dict[str, int] = field(default_factory=dict)
    num_frames: dict[str, int | None] | None = None
    device: str | None = None
    autocast: bool | None = None
    dataset: str | None = None
    pretrained: dict[str, Any] | None = None
    ensemble: EnsembleRecord | None = None
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    dirty: bool | None = None
    hardware: str | None = None
    threads: int | None = None
    seconds: float | None = None
    finished: str | None = None

    @property
    def streams(self) -> str:
        """The stream, or several joined by ``+``."""
        return self.stream if isinstance(self.stream, str) else '+'.join(self.stream)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the JSON file, without the fields that have their default."""
        content: dict[str, Any] = _RECORD.dump_python(self, exclude_defaults=True)
        return {'version': VERSION, **content}

    @classmethod
    def from_dict(cls, content: Any, origin: str = 'the record') -> 'Record':
        """A record from parsed JSON, of this version or an older one.

        Raises:
            RecordError: it is not a record, or of a newer version; begins with ``origin`` and names the field.
        """
        if not isinstance(content, Mapping) or 'sources' not in (content := _upgrade(content, origin)):
            raise RecordError(f'{origin} is no record, it has no sources; give one that skeattn test wrote')
        try:
            # Only as JSON does strict validation accept an object for a dataclass.
            text = to_json({key: value for key, value in content.items() if key != 'version'}, inf_nan_mode='constants')
            return _RECORD.validate_json(text)
        except ValidationError as error:
            wrong = [f'{".".join(map(str, one["loc"]))}: {one["msg"].lower()}' for one in error.errors()]
            raise RecordError(
                f'{origin} is no valid record: {shorten(wrong)}; write it again with skeattn test'
            ) from error


_RECORD = TypeAdapter(Record)


def read(path: str | os.PathLike[str]) -> Record:
    """Read a record.

    Raises:
        RecordError: the file is missing, not JSON, or not a record; names the file and the field.
    """
    try:
        content = from_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise RecordError(f'{path}: no such record; write it with skeattn test') from None
    except (OSError, ValueError) as error:
        raise RecordError(f'{path} is no readable record: {error}; write it again with skeattn test') from error
    return Record.from_dict(content, str(path))


def write(path: str | os.PathLike[str], record: Record) -> None:
    """Write a record, all or nothing."""
    write_json(path, record.to_dict())


def _upgrade(content: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The same content with the names of this version; wrong types are left for the validation."""
    version = content.get('version', 0)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= VERSION:
        raise RecordError(
            f'{origin} has version {version!r}, this skeattn reads 0 to {VERSION}; install a newer skeattn'
        )
    new = dict(content)
    return _from_0(new) if version == 0 else new


def _from_0(content: dict[str, Any]) -> dict[str, Any]:
    """Version 0 called the split ``protocol`` and results ``outcomes``; fields of an ensemble were at the top level."""
    content['split'] = content.pop('protocol', None)
    if isinstance(content.get('sources'), Mapping):
        content['sources'] = {name: _source_from_0(source) for name, source in content['sources'].items()}
    if 'weights' in content:
        keys = ('weights', 'selection', 'added', 'heldout_top1', 'parts')
        content['ensemble'] = {key: content.pop(key) for key in keys if key in content}
    if isinstance(frames := content.get('num_frames'), Mapping):
        content['num_frames'] = {('evaluated' if key == 'judged' else key): value for key, value in frames.items()}
    if content.get('training') == {}:
        content['training'] = None
    return content


def _source_from_0(source: Any) -> Any:
    if not isinstance(source, Mapping):
        return source
    new = {key: value for key, value in source.items() if key != 'outcomes'}
    if isinstance(results := source.get('outcomes'), Mapping):
        new['protocols'] = {name: _result_from_0(result) for name, result in results.items()}
    return new


def _result_from_0(result: Any) -> Any:
    if not isinstance(result, Mapping):
        return result
    fields = ProtocolRecord.__dataclass_fields__
    new = {key: value for key, value in result.items() if key in fields}
    return {**new, 'facts': {key: value for key, value in result.items() if key not in fields}}
