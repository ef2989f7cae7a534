"""A checkpoint as one file for others: weights that features depend on, config, classes, probe, numbers, origin."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import skeattn
from skeattn.checkpoint import PROBE_PREFIX, plain, read_checkpoint, training_config
from skeattn.engine.build import KEPT, load_model, newest
from skeattn.errors import CheckpointError, ConfigError, RecordError
from skeattn.evaluation.trained_probe import TrainedProbe
from skeattn.files import sha256, write_atomic, write_text
from skeattn.models.momentum import pairs_of
from skeattn.models.queue import queues_of
from skeattn.published import DIGITS, NAMED, SUFFIX, published_file
from skeattn.results import record as records
from skeattn.results.record import Record
from skeattn.safe_tensors import pack_tensors
from skeattn.toolbox import CONFIGS, short_name
from skeattn.zoo.again import TOP1, Again
from skeattn.zoo.card import card
from skeattn.zoo.results import Result, can_be_repeated, differences, read_results

FACTS = (
    'method', 'backbone', 'stream', 'layout', 'channels', 'num_frames', 'batch_size', 'seed', 'epoch', 'iter', 'split',
    'dataset', 'manifest_sha256', 'paper_vs_release', 'versions',
)  # fmt: skip
"""Facts of a checkpoint that are published."""
CONFIG = (*KEPT, 'batch_size', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'evaluation')
"""Keys of its config that are published: those of the network and its clips, and how it was trained."""
CARD = 'README.md'


@dataclass(frozen=True)
class Publication:
    """A published encoder.

    Args:
        file: the safetensors file.
        facts: of its header.
        size, checkpoint_size: bytes of the file and of the checkpoint that it comes from.
    """

    file: Path
    facts: dict[str, Any]
    size: int
    checkpoint_size: int


def publish(
    checkpoint: str | os.PathLike[str],
    zoo: str | os.PathLike[str],
    record_files: list[Path] | None = None,
    name: str | None = None,
    data: str | None = None,
    device: str | None = None,
    again: bool = True,
    licence: str | None = None,
    overwrite: bool = False,
) -> Publication:
    """Write ``ZOO/NAME/NAME-DIGEST.safetensors`` and its model card.

    The numbers of the records are evaluated again first, and a different one is refused; the linear classifier with the
    highest accuracy on held-out training clips is stored in the file.

    Args:
        checkpoint: a file or a work_dir.
        zoo: folder of published encoders.
        record_files: records of this checkpoint; by default those beside it.
        name: of the published encoder; by default that of the config of its records.
        data: packed set instead of that of the config.
        device: of the evaluation.
        again: False to trust the records; then no probe is stored.
        licence: of the weights, for the card.
        overwrite: replace a published encoder of this name.

    Raises:
        CheckpointError: the checkpoint is damaged or does not hold its config.
        RecordError, ConfigError: see :func:`~skeattn.zoo.results.read_results`, or there is no record, no usable name,
            or an encoder of this name.
        DataError: the packed set is missing or another one.
    """
    path = newest(checkpoint)
    content, digest = read_checkpoint(path), sha256(path)
    files = record_files or records_beside(path, digest)
    read, results = read_results(files, digest)
    name = checked_name(name or default_name(read, content['meta']))
    folder = Path(zoo) / name
    old = published_file(folder)
    if old is not None and not overwrite:
        raise ConfigError(f'{folder} holds a published encoder, {old.name}; choose another --name or pass --overwrite')
    probe = evaluated_again(Again(path, data, device), results) if again else None
    omitted = surplus(load_model(path))
    facts = facts_of(content['meta'], omitted)
    facts['published'] = {
        'name': name,
        'config': config_of(read),
        'licence': licence,
        'checkpoint_sha256': digest,
        'results': results,
        'skeattn': skeattn.__version__,
    }
    if probe is not None:
        facts['probe'] = probe.facts
    try:
        packed = pack_tensors(tensors_of(content['state_dict'], omitted, probe), facts)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f'{path}: its facts cannot be published ({error!r:.200})') from error
    file = folder / f'{name}-{hashlib.sha256(packed).hexdigest()[:DIGITS]}{SUFFIX}'
    write_atomic(file, lambda out: out.write(packed))
    write_text(folder / CARD, card(file, facts))
    if old is not None and old != file:
        old.unlink()
    return Publication(file, facts, len(packed), path.stat().st_size)


def records_beside(path: Path, digest: str) -> list[Path]:
    """The records of a checkpoint in its folder.

    Raises:
        RecordError: there is none.
    """
    found = []
    for file in sorted(path.parent.glob('*.json')):
        try:
            record = records.read(file)
        except RecordError:
            continue
        if record.checkpoint_sha256 == digest and not record.dataset:
            found.append(file)
    if not found:
        raise RecordError(
            f'{path} has no record beside it, so its numbers are not known; evaluate it with skeattn test, or pass '
            f'--record FILE'
        )
    return found


def evaluated_again(again: Again, results: list[Result]) -> TrainedProbe | None:
    """Compare all results with those computed now; the trained probe that knows held-out clips best, if there is one.

    Raises:
        RecordError: a number differs.
        DataError: the packed set is another one.
    """
    best, accuracy = None, float('-inf')
    classes = tuple(map(str, again.train.classes))
    for result in filter(can_be_repeated, results):
        again.check_data(result)
        found = again.result(result)
        if wrong := differences(result, found.metrics, len(again.test)):
            metric, (was, now) = next(iter(wrong.items()))
            raise RecordError(
                f'{result["record"]}: {result["source"]}: {result["protocol"]}/{metric} is {was:.2f}, but {now:.2f} is '
                f'found now; evaluate the checkpoint again with skeattn test'
            )
        known = found.metrics.get('heldout_top1', found.metrics.get('top1_heldout', 0.0))
        fits = found.probe is not None and TOP1 in result['metrics'] and found.probe.weights.shape[1] == len(classes)
        if found.probe is not None and fits and known > accuracy:
            best = TrainedProbe.of(found.probe, result['source'], classes, result['protocol'])
            accuracy = known
    return best


def surplus(model: nn.Module) -> list[str]:
    """Names of the parts that neither features nor fine-tuning need: queues, and half of each pair of query and key.

    Of a pair the half that evaluation reads is kept, otherwise the query.
    """
    names = {module: name for name, module in model.named_modules()}
    evaluated = getattr(model, 'encoder', None)
    halves = [query if key is evaluated else key for query, key in pairs_of(model)]
    return sorted(names[module] for module in [*queues_of(model), *halves])


def tensors_of(state: Mapping[str, Tensor], omitted: list[str], probe: TrainedProbe | None) -> dict[str, Tensor]:
    """The tensors of a published file: the weights without the parts that are left out, and those of the probe."""
    starts = tuple(f'{part}.' for part in omitted)
    own = {name.removeprefix('module.'): value for name, value in state.items()}
    kept = {name: value for name, value in own.items() if not name.startswith(starts)}
    return kept | {f'{PROBE_PREFIX}{name}': value for name, value in (probe.tensors if probe else {}).items()}


def facts_of(meta: Mapping[str, Any], omitted: list[str]) -> dict[str, Any]:
    """The facts of a checkpoint that are published; paths of the machine are reduced to names."""
    config = training_config(meta)
    facts = {key: meta[key] for key in FACTS if meta.get(key) is not None}
    facts['config'] = {key: config[key] for key in CONFIG if key in config}
    facts = portable(plain(facts))
    facts['omitted'] = omitted
    return facts


def portable(value: Any, key: str = '') -> Any:
    """Plain values whose absolute paths are names; a data set is looked for in ``data/``."""
    if isinstance(value, Mapping):
        return {str(name): portable(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [portable(item, key) for item in value]
    if isinstance(value, str) and os.path.isabs(value):
        return f'data/{Path(value).name}' if key == 'data' else Path(value).name
    return value


def config_of(read: list[Record]) -> str | None:
    """The config of records, as ``METHOD/NAME``, if it is one of the toolbox."""
    for record in read:
        if record.config and (CONFIGS / f'{(name := short_name(record.config))}.py').is_file():
            return name
    return None


def default_name(read: list[Record], meta: Mapping[str, Any]) -> str:
    """Of the config, or of method, data set, split and stream."""
    if config := config_of(read):
        return config.replace('/', '_')
    first = read[0]
    return '_'.join([str(meta.get('method')).lower(), Path(first.data).name, first.split, first.streams])


def checked_name(name: str) -> str:
    """A name of a published encoder.

    Raises:
        ConfigError: it is no name of a folder.
    """
    if not name.replace('_', '').replace('.', '').replace('+', '').isalnum() or NAMED.search(f'{name}{SUFFIX}'):
        raise ConfigError(f'--name {name}: use letters, digits, _ . and +')
    return name
