"""From a config to a network and its data sets."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from torch import nn

import skeattn.models  # noqa: F401  registers what a config can name
from skeattn.checkpoint import find_newest, length_steps, load_checkpoint, read_checkpoint, training_config
from skeattn.datasets import SkeletonDataset
from skeattn.datasets.splits import PARTS, of_part
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.only_door import only_door
from skeattn.engine.places import lookup
from skeattn.engine.resume import Difference, differences, simple
from skeattn.errors import CheckpointError
from skeattn.published import WEIGHTS, locate
from skeattn.registry import AUGMENTS, BACKBONES, DATASETS, HEADS, LOSSES, MODELS, NECKS, TRANSFORMS
from skeattn.steps import in_order

KEPT = ('stream', 'layout', 'channels', 'num_classes', 'seed', 'dataset', 'model')
"""Keys of a checkpoint's config that determine a network and its data set."""
REGISTRIES = (MODELS, BACKBONES, NECKS, HEADS, LOSSES, AUGMENTS, TRANSFORMS, DATASETS)


def load_model(config: str | os.PathLike[str] | Config, checkpoint: str | os.PathLike[str] | None = None) -> nn.Module:
    """A network in eval mode.

    Args:
        config: a config file, or a config with overrides merged; a checkpoint, or the work_dir of a training, for the
            network that was trained there, see :func:`config_of`.
        checkpoint: weights written by ``skeattn train``, or a work_dir for its newest; None leaves the network of a
            config freshly initialised.

    Raises:
        ConfigError: the config is wrong.
        CheckpointError: the checkpoint is damaged or does not fit.
    """
    weights = None if checkpoint is None else newest(checkpoint)
    if not isinstance(config, Config) and _is_checkpoint(config):
        weights, stored = weights or newest(config), newest(config)
        # Nothing is initialised: an init_cfg of the file could read any other file.
        model, cfg = MODELS.build(config_of(stored).model), None
    else:
        cfg = resolve_config(config if isinstance(config, Config) else read_config(config))
        model = MODELS.build(cfg.model)
        with _quiet(), only_door():
            model.init_weights()
    if weights is not None:
        load_checkpoint(model, weights)
    if weights is not None and cfg is not None:
        pipeline = lookup(cfg, 'dataset.pipeline')
        model.trained_on['length_step'] = next(reversed(length_steps(pipeline)), None)
        _note(model, [*_of_pipeline(model, pipeline), *_of_features(model, cfg)])
    return model.eval()


def config_of(checkpoint: str | os.PathLike[str]) -> Config:
    """The resolved config that a checkpoint stores, reduced to the keys that determine its network and data set.

    It is read as plain values: no code runs, and no module is imported.

    Args:
        checkpoint: a file, or a work_dir for its newest.

    Raises:
        CheckpointError: the file is damaged or holds no config, or the config names an unknown component, such as one
            of a module that has not been imported.
    """
    path = newest(checkpoint)
    stored = training_config(read_checkpoint(path)['meta'])
    if not isinstance(stored.get('model'), Mapping):
        raise CheckpointError(f'{path} does not hold its config; pass the config file as well')
    registered = {name for registry in REGISTRIES for name in registry.names()}
    unknown = [name for name in _types(stored.get('model')) + _types(stored.get('dataset')) if name not in registered]
    if unknown:
        raise CheckpointError(
            f'{path}: its config names the component {unknown[0]!r}, which is not registered; import the module that '
            f'defines it (commands: --import MODULE), or pass the config file as well'
        )
    try:
        return resolve_config(Config({key: stored[key] for key in KEPT if key in stored}))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise CheckpointError(f'{path}: its config cannot be used ({error}); pass the config file as well') from error


def note_pipeline(model: nn.Module, pipeline: Mapping[str, Any]) -> None:
    """Warn, in one line, of a pipeline that differs from that of the training."""
    _note(model, _of_pipeline(model, pipeline))


def _note(model: nn.Module, listed: Sequence[Difference]) -> None:
    if listed:
        text = '; '.join(map(str, listed))
        print_log(f'{_facts(model)["checkpoint"]} was trained with {text}', 'current', logging.WARNING)


def _facts(model: nn.Module) -> dict[str, Any]:
    return getattr(model, 'trained_on', None) or {}


def _of_pipeline(model: nn.Module, pipeline: Mapping[str, Any]) -> list[Difference]:
    stored = _facts(model).get('pipeline')
    if not stored or not pipeline:
        return []
    then, now = (
        {name: simple(step) for name, step in in_order(side, 'dataset.pipeline').items() if step is not None}
        for side in (stored, pipeline)
    )
    return [d for d in differences(then, now, 'dataset.pipeline') if not d.key.endswith('.num_frames')]


def _of_features(model: nn.Module, cfg: Config) -> list[Difference]:
    """How the features are read, and, on the set of the training, which of its clips evaluate."""
    facts = _facts(model)
    if 'split' not in facts:
        return []
    then = {'model': {key: facts[key] for key in ('persons', 'pool')}}
    now = {'model': {key: cfg.model.get(key) for key in ('persons', 'pool')}}
    if not [*differences(facts['data'], simple(cfg.dataset.get('data')))]:
        then, now = (
            then | {'dataset': {'split': facts['split']}},
            now | {'dataset': {'split': cfg.dataset.get('split')}},
        )
    return [*differences(then, simple(now))]


def newest(checkpoint: str | os.PathLike[str]) -> Path:
    """A checkpoint file; of a work_dir the newest one; a published one also by name or address.

    Raises:
        CheckpointError: the folder holds none; see also :func:`~skeattn.published.locate`.
    """
    path = locate(checkpoint)
    if not path.is_dir():
        return path
    checkpoint_file = find_newest(path)
    if checkpoint_file is None:
        raise CheckpointError(f'{path} holds no checkpoint; train first, with --work-dir {path}')
    return checkpoint_file


def _is_checkpoint(path: str | os.PathLike[str]) -> bool:
    return Path(path).is_dir() or Path(path).suffix in WEIGHTS


def _types(value: Any) -> list[str]:
    """The ``type`` of every component in plain values, and every ``_scope_``, in which types are looked up."""
    if isinstance(value, Mapping):
        own = [str(value[key]) for key in ('type', '_scope_') if key in value]
        return own + [name for key, item in value.items() if key != 'init_cfg' for name in _types(item)]
    return [name for item in value for name in _types(item)] if isinstance(value, list | tuple) else []


def build_splits(cfg: Config) -> tuple[SkeletonDataset, SkeletonDataset]:
    """The training and the test clips of a resolved config."""
    train, test = (DATASETS.build(of_part(cfg.dataset, part)) for part in PARTS)
    return train, test


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a log file mmengine would print how every parameter was initialised."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        yield
    finally:
        logger.setLevel(level)
