"""From a checkpoint to a folder that others can load: weights as safetensors, facts, records, and a model card."""

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from skeattn.apis.encoder import Encoder, load_encoder
from skeattn.apis.few_shot import FewShotClassifier
from skeattn.checkpoint import read_checkpoint, training_config
from skeattn.engine.build import newest
from skeattn.engine.verification import verify_checkpoint
from skeattn.errors import CheckpointError, ConfigError, RecordError, shorten
from skeattn.fetch import ENTRY, SAFE
from skeattn.files import sha256, write_text
from skeattn.results import record as records_file
from skeattn.results.record import Record
from skeattn.weights_file import write_weights
from skeattn.zoo.card import CARD, model_card
from skeattn.zoo.entry import NAME, Entry, PublishedFile, write_entry

FACTS = (
    'method', 'backbone', 'stream', 'layout', 'channels', 'num_frames', 'epoch', 'seed', 'data', 'split', 'versions',
)  # fmt: skip
"""Of a checkpoint's ``meta``."""
PRIVATE = ('cfg', 'work_dir', 'load_from')
"""Keys that are not published: the text of the config, whose values stay, and folders of the trainer."""
_FOLDERS = re.compile(r"""(?<![\w.:/)\]-])~?/(?:[^\s/'",;]+/)*(?=[^\s/])""")
"""The folders of an absolute path."""


def publish(
    checkpoint: str | os.PathLike[str],
    out: str | os.PathLike[str],
    name: str | None = None,
    records: Sequence[str | os.PathLike[str]] | None = None,
    classifier: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Publish an encoder as the folder ``out/name``, which appears complete or not at all.

    Args:
        checkpoint: a file, or a work_dir for its newest. All weights are kept; the state of the training is not.
        out: the folder of published encoders.
        name: by default the method and the name of the work_dir.
        records: of evaluations of this checkpoint; by default those beside it. Absolute paths in them are shortened to
            their last part, as in the facts of the weights.
        classifier: for a few labelled clips, written by ``skeattn predict --save``.
        overwrite: replace a published encoder of this name.

    Returns:
        the folder.

    Raises:
        CheckpointError: the checkpoint is damaged or does not hold its config, or the classifier is of another encoder.
        RecordError: a given record is of another checkpoint.
        ConfigError: the name is not usable, or exists.
    """
    path, out = newest(checkpoint), Path(out)
    if faults := verify_checkpoint(path).faults:
        raise CheckpointError(f'{path} is not published: {shorten(faults, "; ")}')
    content, digest = read_checkpoint(path), sha256(path)
    name = name or f'{content["meta"].get("method", "encoder")}_{path.absolute().parent.name}'.lower()
    target = _target(out, name, overwrite)
    chosen = _records_beside(path, digest) if records is None else _records_given(records, digest, path)
    with tempfile.TemporaryDirectory(prefix=f'.{name}.', dir=out) as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        weights = _write_weights(folder, name, content)
        encoder = _encoder(folder / weights.file)
        if encoder.identity != _encoder(path).identity:
            raise CheckpointError(f'{path}: its pipeline holds values that a published file cannot; train it again')
        entry = Entry(
            name=name,
            weights=weights,
            checkpoint_sha256=digest,
            facts=entry_facts(folder / weights.file),
            records=[_write_record(folder / file, record) for file, record in chosen.items()],
            classifier=None if classifier is None else _write_classifier(folder, name, classifier, encoder),
        )
        write_entry(folder, entry)
        write_text(folder / CARD, model_card(entry, chosen))
        if target.exists():
            target.rename(Path(scratch) / 'replaced')
        folder.rename(target)
    return target


def entry_facts(weights: Path) -> dict[str, Any]:
    """The facts of an entry: those in the file that are known, number of values, identity of the encoder."""
    content = read_checkpoint(weights)
    facts = {key: content['meta'][key] for key in FACTS if content['meta'].get(key) is not None}
    values = sum(value.numel() for value in content['state_dict'].values())
    return {**facts, 'values': values, 'identity': _encoder(weights).identity}


def portable(value: Any) -> Any:
    """The same value as JSON can hold it, without absolute paths and :data:`PRIVATE` keys."""
    if isinstance(value, Mapping):
        return {str(key): portable(item) for key, item in value.items() if key not in PRIVATE}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    if isinstance(value, Tensor):
        return value.tolist()
    return _FOLDERS.sub('', value) if isinstance(value, str) else value


def _target(out: Path, name: str, overwrite: bool) -> Path:
    if not re.fullmatch(NAME, name):
        raise ConfigError(f'{name!r} is no name of an encoder; use letters, digits and . _ + -')
    target = out / name
    if target.exists() and not (target / ENTRY).is_file():
        raise ConfigError(f'{target} exists and is no published encoder; choose a different name')
    if target.exists() and not overwrite:
        raise ConfigError(f'{target} exists already; choose a different name, or pass --overwrite')
    out.mkdir(parents=True, exist_ok=True)
    return target


def _encoder(path: Path) -> Encoder:
    layout = read_checkpoint(path)['meta'].get('layout')
    return load_encoder(path, 'cpu', layout=layout[0] if isinstance(layout, list) else None)


def _write_weights(folder: Path, name: str, content: Mapping[str, Any]) -> PublishedFile:
    meta = portable({**content['meta'], 'config': training_config(content['meta'])})
    write_weights(folder / f'{name}{SAFE}', content['state_dict'], meta)
    return _with_digest(folder / f'{name}{SAFE}')


def _with_digest(path: Path) -> PublishedFile:
    digest = sha256(path)
    return PublishedFile(file=path.rename(path.with_stem(f'{path.stem}-{digest[:8]}')).name, sha256=digest)


def _records_beside(path: Path, digest: str) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for file in sorted(path.parent.glob('*.json')):
        try:
            record = records_file.read(file)
        except RecordError:  # another JSON file
            continue
        if record.checkpoint_sha256 == digest:
            found[_usable(file)] = _portable_record(record)
    return found


def _records_given(files: Sequence[str | os.PathLike[str]], digest: str, path: Path) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for file in map(Path, files):
        record = records_file.read(file)
        if record.checkpoint_sha256 != digest:
            raise RecordError(f'{file} is the record of another checkpoint than {path}; leave it out')
        if file.name in found:
            raise RecordError(f'{file}: two records are called {file.name}; rename one')
        found[_usable(file)] = _portable_record(record)
    return found


def _usable(file: Path) -> str:
    if file.name == ENTRY or not re.fullmatch(NAME, file.name):
        raise RecordError(f'{file} cannot be published by this name; rename it, with letters, digits and . _ + -')
    return file.name


def _portable_record(record: Record) -> Record:
    return Record.from_dict(portable(json.loads(json.dumps(record.to_dict()))), record.name)


def _write_record(path: Path, record: Record) -> PublishedFile:
    records_file.write(path, record)
    return PublishedFile(file=path.name, sha256=sha256(path))


def _write_classifier(folder: Path, name: str, file: str | os.PathLike[str], encoder: Encoder) -> PublishedFile:
    classifier: FewShotClassifier = encoder.load_few_shot(file)
    weights = Path(encoder.checkpoint).name
    classifier.origin = replace(classifier.origin, checkpoint=weights)
    classifier.save(folder / f'{name}-classifier.npz')
    return _with_digest(folder / f'{name}-classifier.npz')
