"""The record of an evaluation: its fields, its one reader and its one writer.

A record is a JSON file. ``tools/test.py`` and ``tools/ensemble.py`` write it; tables and pictures are made of it.
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
    """The result of one protocol on the features of one source; its metrics stand in the :class:`SourceRecord`.

    Attributes:
        seconds: that the protocol took.
        scores_of: epoch or K that ``per_class``, ``confusion`` and ``scores`` belong to.
        selection: metric -> how its epoch or K was chosen.
        notes: metric -> why it is missing.
        curves: name -> one value per epoch.
        per_class: class -> accuracy in percent, None for a class without test clips.
        confusion: clips counted, rows true, columns predicted.
        files: kind -> file beside the record.
        scores: file of class scores beside the record, and its digest.
        labelled: training clips whose labels were used: their number ``clips``, and the digest of their names.
        device: that the protocol ran on, where it chose its own.
        facts: anything else that the protocol reports.
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
    """What was found on the features of one source.

    Attributes:
        streams: that the features are of.
        metrics: ``protocol/metric`` -> value, in percent where it is an accuracy.
        metrics_without_copies: the same on the test clips that equal no training clip; empty where there are no copies.
        parameters: of the encoder; ``gmacs``: of a forward pass of one clip.
        protocols: name -> result.
    """

    streams: list[str] = field(default_factory=list)
    metrics: dict[str, float]
    metrics_without_copies: dict[str, float] = field(default_factory=dict)
    parameters: float | None = None
    gmacs: float | None = None
    protocols: dict[str, ProtocolRecord] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrainingRecord:
    """How the weights were trained, as far as it is known.

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
    """One stream of an ensemble: its score file, what it reaches alone, and where it comes from."""

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
    """How streams were fused.

    Attributes:
        weights: part -> weight.
        selection: how the weights were chosen, see :data:`~skeattn.results.ensemble.SELECTIONS`.
        added: ``'logits'`` or ``'softmax'``.
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
    """An evaluation: of what, by what, and what was found.

    Attributes:
        name: of the row in a table: the method, or what the user calls it.
        data: folder of the packed set, ``manifest_sha256`` its digest, ``split`` its split.
        stream: of the config, a list where there are several.
        seed: of the evaluation; None for an ensemble of several seeds.
        sources: source of features -> what was found.
        checkpoint: file name of the weights, and their digest; None for a network before training.
        training: how they were trained; None where nothing was.
        protocols: name -> settings.
        baselines: row -> metrics of what an encoder has to beat.
        config, cfg_options: file and overrides that the user gave; ``config_sha256`` of the resolved config.
        model: class of the model.
        clips: numbers of the evaluated clips, ``train``, ``test`` and of these ``copies`` of training clips, and of the
            clips left out as ``unlabelled``.
        num_frames: frames of a clip, ``pretrained`` (None where unknown) and ``evaluated``.
        device: that features were extracted on.
        dataset, pretrained: of a transfer, the config of the target and the facts of the pre-training.
        ensemble: how streams were fused.
        versions, commit, dirty, hardware, threads: see :func:`~skeattn.results.provenance.environment`.
        seconds: that the evaluation took; ``finished``: when it ended, in UTC.
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
        """As it is written: plain values, without the fields that hold their default."""
        content: dict[str, Any] = _RECORD.dump_python(self, exclude_defaults=True)
        return {'version': VERSION, **content}

    @classmethod
    def from_dict(cls, content: Any, origin: str = 'the record') -> 'Record':
        """A record of parsed JSON, of this version or an older one.

        Raises:
            RecordError: it is none, or of a newer version; begins with ``origin`` and names the field.
        """
        if not isinstance(content, Mapping) or 'sources' not in (content := _upgrade(content, origin)):
            raise RecordError(f'{origin} is no record of tools/test.py: it has no sources')
        try:
            # As JSON, in which strict validation takes an object for a dataclass.
            text = to_json({key: value for key, value in content.items() if key != 'version'}, inf_nan_mode='constants')
            return _RECORD.validate_json(text)
        except ValidationError as error:
            wrong = [f'{".".join(map(str, one["loc"]))}: {one["msg"].lower()}' for one in error.errors()]
            raise RecordError(f'{origin} is no valid record: {shorten(wrong, "; ")}; write it again') from error


_RECORD = TypeAdapter(Record)


def read(path: str | os.PathLike[str]) -> Record:
    """Read a record.

    Raises:
        RecordError: no such file, no JSON, or no record; names the file and the field.
    """
    try:
        content = from_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise RecordError(f'{path}: no such record; tools/test.py writes it') from None
    except (OSError, ValueError) as error:
        raise RecordError(f'{path} is no readable record: {error}') from error
    return Record.from_dict(content, str(path))


def write(path: str | os.PathLike[str], record: Record) -> None:
    """Write a record, all or nothing."""
    write_json(path, record.to_dict())


def _upgrade(content: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The same content in the words of this version; what does not fit is left for the reader to refuse."""
    version = content.get('version', 0)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= VERSION:
        raise RecordError(
            f'{origin} has version {version!r}, this skeattn reads 0 to {VERSION}; install a newer one to read it'
        )
    new = dict(content)
    return _from_0(new) if version == 0 else new


def _from_0(content: dict[str, Any]) -> dict[str, Any]:
    """Version 0 called the split ``protocol``, results ``outcomes``, and had the fields of an ensemble at the top."""
    content['split'] = content.pop('protocol', None)
    if isinstance(content.get('sources'), Mapping):
        content['sources'] = {name: _source_from_0(part) for name, part in content['sources'].items()}
    if 'weights' in content:
        keys = ('weights', 'selection', 'added', 'heldout_top1', 'parts')
        content['ensemble'] = {key: content.pop(key) for key in keys if key in content}
    if isinstance(frames := content.get('num_frames'), Mapping):
        content['num_frames'] = {('evaluated' if key == 'judged' else key): value for key, value in frames.items()}
    if content.get('training') == {}:
        content['training'] = None
    return content


def _source_from_0(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    known, outcomes = ProtocolRecord.__dataclass_fields__, part.get('outcomes')
    new = {key: value for key, value in part.items() if key != 'outcomes'}
    if isinstance(outcomes, Mapping):
        new['protocols'] = {
            name: {
                **{key: value for key, value in outcome.items() if key in known},
                'facts': {key: value for key, value in outcome.items() if key not in known},
            }
            if isinstance(outcome, Mapping)
            else outcome
            for name, outcome in outcomes.items()
        }
    return new
