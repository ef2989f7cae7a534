"""Settings at the top of a config, copied to every place that needs them.

mmengine carries neither a child config's ``stream='bone'`` nor ``--cfg-options stream=bone`` into values that were
built from ``stream`` elsewhere, so the places are filled when the Runner is built. The config that is printed, dumped
and stored in checkpoints is the one the user wrote: it can be read, changed in one place and run again.
"""

import contextlib
import copy
import os
import pprint
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.utils import import_modules_from_strings

from skeattn.cli import parse_list
from skeattn.datasets.splits import of_part
from skeattn.datasets.union import open_sets, sets_of
from skeattn.engine.amp import AutocastOptimWrapper
from skeattn.engine.checks import check_config, check_removals
from skeattn.engine.origin import Origin, bases_of
from skeattn.engine.places import (
    CONFIG_TARGETS,
    MMENGINE_HOOKS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    VIEWS,
    looked_up,
    lookup,
)
from skeattn.engine.schedules import WarmupCosine
from skeattn.engine.speed import resolve_amp
from skeattn.errors import ConfigError, DataError, SkeAttnError
from skeattn.models.joint_names import are_several
from skeattn.registry import AUGMENTS, BACKBONES, DATASETS
from skeattn.renaming import note_renamed
from skeattn.signatures import arguments_of
from skeattn.skeletons import LAYOUTS, get_layout
from skeattn.steps import in_order
from skeattn.toolbox import find_config

SINGLE = 'SkeletonDataset'
OPTIONAL = (['model', 'backbone'], ['model', 'head'])


class OrderedConfig(Config):
    """A config whose text keeps the order of its keys; mmengine's sorts them.

    Pipelines and views run in the order written, so a sorted text would be a different experiment.
    """

    @classmethod
    def of(cls, cfg: Config) -> 'OrderedConfig':
        """The same config, as this class; scalars of numpy become those of Python, which its text can hold."""
        return cls(_plain(cfg.to_dict()), cfg_text=cfg.text or ' ', filename=cfg.filename)

    @property
    def pretty_text(self) -> str:
        """Python source that reads back as this config."""
        lines = (
            f'{key} = {pprint.pformat(value, width=110, sort_dicts=False)}' for key, value in self.to_dict().items()
        )
        return '\n'.join(lines) + '\n'


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if type(node) in (list, tuple):
        return type(node)(map(_plain, node))
    return node.item() if isinstance(node, np.generic) else node


def read_config(path: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> OrderedConfig:
    """A config file with overrides merged, not resolved yet.

    Args:
        path: the file, or the name of a config of the toolbox, see :func:`~skeattn.toolbox.find_config`.
        options: overrides by dotted key.

    Raises:
        ConfigError: no such config, or it cannot be read; a key of the file, of its bases or of the overrides that is
            never read (see :func:`~skeattn.engine.checks.check_config`), or a step set to None that no base has.
    """
    path = os.fspath(find_config(path))
    try:
        cfg = OrderedConfig.of(Config.fromfile(path))
    except SkeAttnError:
        raise
    except Exception as error:  # a config is a program
        hint = '; put the folder of your modules on PYTHONPATH' if isinstance(error, ImportError) else ''
        usual = isinstance(error, OSError | SyntaxError | NameError | TypeError | ImportError)
        what = str(error) if usual else f'{type(error).__name__}: {error}'
        raise ConfigError(f'{path} cannot be read: {what}{hint}') from error
    _check_removals_in_files(cfg, path)
    _read_renamed_keys(cfg, Origin(path))
    _override(cfg, options or {})
    if any(key.split('.')[0] == 'custom_imports' for key in options or {}):
        _import_custom(cfg, Origin(path, options))
    if lists := check_config(cfg, Origin(path, options)):
        cfg.merge_from_dict(lists)
    cfg.setdefault('stream', 'joint')
    return cfg


def _check_removals_in_files(cfg: Config, path: str) -> None:
    """Refuse steps that a file or one of its bases sets to None but that do not exist."""
    for file, _ in Origin(path).files:
        bases = bases_of(file) if 'None' in Path(file).read_text(encoding='utf-8') else []
        if bases:
            merged = cfg if file == path else _load(file)
            check_removals(merged, [_load(base) for base in bases], Origin(file))


def _load(file: str) -> Config:
    return Config.fromfile(file, import_custom_modules=False)


def _override(cfg: OrderedConfig, options: Mapping[str, Any]) -> None:
    removes = any(value is None for value in options.values())
    before = [OrderedConfig.of(cfg)] if removes else []
    try:
        cfg.merge_from_dict({key: _as_its_list(cfg, key, value) for key, value in options.items()})
    except (KeyError, TypeError, IndexError) as error:
        raise ConfigError(f'--cfg-options {" ".join(options)}: {error}') from error
    _read_renamed_keys(cfg, Origin())
    if removes:
        check_removals(cfg, before, Origin(options=options))


def _import_custom(cfg: Config, origin: Origin) -> None:
    """Import the modules of an override; mmengine imports those of a file."""
    imports = cfg.get('custom_imports')
    if not isinstance(imports, Mapping) or 'imports' not in imports:
        return  # refused by check_config, or nothing to import
    try:
        import_modules_from_strings(**imports)
    except (ImportError, TypeError) as error:
        hint = 'put the folder of your modules on PYTHONPATH'
        raise ConfigError(f'{origin("custom_imports")}{error}; {hint}') from error


def _as_its_list(cfg: Config, key: str, value: Any) -> Any:
    """``a,b`` is a list if the config has a list there."""
    above, _, last = key.rpartition('.')
    if isinstance(value, str) and isinstance(lookup(cfg, above).get(last), list | tuple):
        return parse_list(value)
    return value


def _read_renamed_keys(cfg: Config, origin: Origin) -> None:
    """Read ``dataset.protocol``, the old name, as ``dataset.split``.

    If both are set, the key of the config itself counts, otherwise that of its first base that has one. Without a file
    the old name counts: it was added to a config that had been read before.
    """
    dataset = lookup(cfg, 'dataset')
    kind = dataset.get('type')
    component = DATASETS.get(kind) if kind and isinstance(kind, str) else kind
    if 'protocol' not in dataset or (component is not None and 'split' not in arguments_of(component)[0]):
        return
    note_renamed('the config key dataset.protocol', 'dataset.split')
    counts = origin.last_word('dataset.protocol', 'dataset.split')
    protocol = cfg.dataset.pop('protocol')
    if counts == 'dataset.protocol' or 'split' not in dataset:
        cfg.dataset.split = protocol


def resolve_config(cfg: Config, world_size: int = 1) -> Config:
    """Fill every place of a config that follows from its top level; the argument is not changed.

    ===============  ==================================================================================================
    top level        written to
    ===============  ==================================================================================================
    ``stream``       the preprocessor (default: joint; a list for a method that reads several)
    ``layout``       the preprocessor, the backbone, the data set, by name; a dict defines a custom layout. A list: the
                     encoder knows joints by name, and a SkeletonDataset becomes a MultiLayoutDataset
    ``channels``     the preprocessor, the data set, and by their number the backbone (default: x, y, z)
    ``num_classes``  the classifier of a model that has one
    ``seed``         ``randomness``
    ``batch_size``   the sampler (global) and the training loader (each process its share)
    ``dataset``      all loaders, with the part they need; its pipeline's ``num_persons``: a backbone that takes it
    a view that      ``native`` of the data set in the training loader: clips kept at their native length
    crops, resizes
    ``evaluation``   ``interval``, ``evaluators`` (a dict; None removes one), ``source``, ``readout``, ``batch_size``,
                     ``autocast`` (default: as in training, :func:`evaluates_in_autocast`)
    ``amp``          the type of ``optim_wrapper``, see :func:`~skeattn.engine.speed.resolve_amp`
    ``max_epochs``   of ``train_cfg``: the period of a ``CosineAnnealingLR`` without ``T_max``, the length of a
                     :class:`~skeattn.engine.schedules.WarmupCosineLR`
    ``max_iters``    stops training after that many iterations (default: ``train_cfg.max_epochs`` epochs)
    ===============  ==================================================================================================

    Args:
        cfg: a config as read from file, overrides merged.
        world_size: number of processes.

    Returns:
        a new config for the Runner; resolving it again changes nothing.

    Raises:
        ConfigError: a place disagrees with the top level, a value is missing or does not divide, or a key is never
            read, see :func:`~skeattn.engine.checks.check_config`.
    """
    cfg = copy.deepcopy(cfg)
    _read_renamed_keys(cfg, Origin())
    check_config(cfg)
    resolve_amp(cfg)
    cfg.setdefault('stream', 'joint')
    if not cfg.stream:
        raise ConfigError(f'stream={cfg.stream!r} must be a stream such as joint, or a list of them')
    if cfg.get('layout') is not None:
        cfg.layout = _learn_layout(cfg)
    for key, places in CONFIG_TARGETS.items():
        if cfg.get(key) is not None:
            for place in places:
                _write(cfg, place, cfg[key], key)
    if cfg.get('channels') is not None:
        _write(cfg, 'model.backbone.in_channels', len(cfg.channels), 'channels')
    if cfg.get('default_hooks') is not None:
        hooks = cfg.default_hooks.items()
        cfg.default_hooks = ConfigDict({name: hook for name, hook in hooks if hook or name in MMENGINE_HOOKS})
    if 'dataset' in cfg:
        cfg.dataset.setdefault('type', SINGLE)
        if are_several(cfg.get('layout')) and cfg.dataset.type == SINGLE:
            cfg.dataset.type = 'MultiLayoutDataset'
        if isinstance(cfg.dataset.get('pipeline'), Mapping):
            steps = in_order(cfg.dataset.pipeline, 'dataset.pipeline')
            cfg.dataset.pipeline = ConfigDict({name: step for name, step in steps.items() if step is not None})
            _write_num_persons(cfg)
        _resolve_training(cfg, world_size)
        _resolve_evaluation(cfg)
    check_config(cfg)
    return cfg


def _learn_layout(cfg: Config) -> str | list[str]:
    """The layout's name, of several theirs; a definition in the config or of a packed set is known from then on."""
    layout, data = cfg.layout, lookup(cfg, 'dataset').get('data')
    layouts = layout if are_several(layout) else [layout]
    if data is not None and any(isinstance(one, str) and one not in LAYOUTS for one in layouts):
        with contextlib.suppress(DataError):  # reported when the set is read
            open_sets(data)
    names = [get_layout(one).name for one in layouts]
    return names if are_several(layout) else names[0]


def _check_num_classes(cfg: Config) -> None:
    """Refuse the number of classes of one set, inherited by a training on several."""
    data = cfg.dataset.get('data')
    if not isinstance(data, list | tuple) or cfg.get('num_classes') is None:
        return
    with contextlib.suppress(DataError):  # reported when the sets are read
        packed = open_sets(data)
        if len(packed.classes) != cfg.num_classes:
            counts = ' + '.join(f'{len(one.classes)} of {one.path}' for one in sets_of(packed))
            raise ConfigError(
                f'num_classes={cfg.num_classes}, but the data has {counts}; set num_classes={len(packed.classes)}'
            )


def _write_num_persons(cfg: Config) -> None:
    """A backbone that reads the persons of a clip together is as wide as the pipeline packs persons."""
    backbone = looked_up(lookup(cfg, 'model.backbone').get('type'), BACKBONES)
    if backbone is None or 'num_persons' not in arguments_of(backbone)[0]:
        return
    for name, step in cfg.dataset.pipeline.items():
        if 'num_persons' in step:
            _write(cfg, 'model.backbone.num_persons', step.num_persons, f'dataset.pipeline.{name}.num_persons')


def _resolve_training(cfg: Config, world_size: int) -> None:
    if cfg.get('train_cfg') is None:
        return
    _check_num_classes(cfg)
    batch_size = cfg.get('batch_size')
    if batch_size is None:
        raise ConfigError('a config that trains needs batch_size at its top, the clips of all processes together')
    if batch_size % world_size:
        raise ConfigError(
            f'batch_size={batch_size} is shared by {world_size} processes and does not divide; '
            f'take a multiple of {world_size}'
        )
    for part in ('projector', 'predictor') if batch_size == world_size else ():
        if lookup(cfg, f'model.{part}').get('norm_cfg') is not None:
            raise ConfigError(
                f'batch_size={batch_size} must be at least {2 * world_size}: model.{part} normalises the batch of each '
                f'process, which needs 2 clips'
            )
    _write(cfg, 'train_dataloader.dataset', of_part(cfg.dataset, 'train') | _native(cfg), 'dataset')
    _write(cfg, 'train_dataloader.sampler.batch_size', batch_size, 'batch_size')
    _write(cfg, 'train_dataloader.batch_size', batch_size // world_size, f'batch_size over {world_size} processes')
    defaults = {'num_workers': 0, 'collate_fn': {'type': 'take_whole_batch'}}
    cfg.train_dataloader = ConfigDict(defaults | cfg.train_dataloader.to_dict())
    cfg.train_dataloader.sampler.setdefault('type', 'GlobalBatchSampler')
    cfg.train_cfg.pop('by_epoch', None)
    cfg.train_cfg.setdefault('type', 'EpochLoop')
    if cfg.get('max_iters') is not None:
        _write(cfg, 'train_cfg.max_iters', cfg.max_iters, 'max_iters')
    _resolve_schedules(cfg)


def _resolve_schedules(cfg: Config) -> None:
    """Schedules that span the whole training receive its length."""
    schedules, epochs = cfg.get('param_scheduler'), cfg.train_cfg.get('max_epochs')
    if isinstance(schedules, Mapping) and schedules.get('type') == 'CosineAnnealingLR':
        cfg.param_scheduler.setdefault('T_max', epochs)
    for schedule in schedules if isinstance(schedules, list | tuple) else [schedules or {}]:
        kind = looked_up(schedule.get('type'), PARAM_SCHEDULERS)
        if isinstance(kind, type) and issubclass(kind, WarmupCosine):
            schedule.setdefault('epochs', epochs)
            schedule.setdefault('convert_to_iter_based', not schedule.pop('by_epoch', False))


def _native(cfg: Config) -> dict[str, bool]:
    """The argument for a data set whose training clips are read at their native length."""
    views = lookup(cfg, VIEWS)
    readers = [
        f'{VIEWS}.{view}.{name}'
        for view in views
        for name, op in lookup(views, view).items()
        if isinstance(op, Mapping) and getattr(looked_up(op.get('type'), AUGMENTS), 'native', False)
    ]
    if not readers:
        return {}
    takes, any_other = arguments_of(looked_up(cfg.dataset.type, DATASETS))
    if not any_other and 'native' not in takes:
        raise ConfigError(
            f'{readers[0]} reads clips at their native length, but dataset.type={cfg.dataset.type!r} takes no '
            f'native=True; add the argument to this class, or use another operation'
        )
    return {'native': True}


def _resolve_evaluation(cfg: Config) -> None:
    evaluation = cfg.get('evaluation') or ConfigDict()
    evaluators = {name: item for name, item in (evaluation.get('evaluators') or {}).items() if item is not None}
    if not evaluators:
        return
    options = {key: evaluation[key] for key in ('source', 'readout', 'batch_size') if key in evaluation}
    options['autocast'] = evaluates_in_autocast(cfg)
    evaluated = {key: value for key, value in cfg.dataset.items() if key != 'native'}
    sets = {'bank': of_part(evaluated, 'train'), 'test': of_part(evaluated, 'test')}
    for stage in ('val', 'test') if cfg.get('train_cfg') is not None else ('test',):
        _write(cfg, f'{stage}_dataloader', sets, 'dataset')
        _write(cfg, f'{stage}_evaluator', evaluators, 'evaluation.evaluators')
        _write(cfg, f'{stage}_cfg', {'type': 'FeatureLoop', **options}, 'evaluation')
    if cfg.get('train_cfg') is not None and 'interval' in evaluation:
        _write(cfg, 'train_cfg.val_interval', evaluation.interval, 'evaluation.interval')


def evaluates_in_autocast(cfg: Config) -> bool:
    """Whether features are extracted in bfloat16: ``evaluation.autocast``, by default as the config trains."""
    trains = looked_up((cfg.get('optim_wrapper') or {}).get('type'), OPTIM_WRAPPERS) is AutocastOptimWrapper
    return bool((cfg.get('evaluation') or {}).get('autocast', trains))


def _write(cfg: Config, place: str, value: Any, source: str) -> None:
    *path, last = place.split('.')
    model = cfg.get('model')
    if path[:1] == ['model'] and (model is None or (path in OPTIONAL and model.get(path[1]) is None)):
        return
    node = cfg
    for key in path:
        if node.get(key) is None:
            node[key] = ConfigDict()
        node = node[key]
        if not isinstance(node, Mapping | Config):
            raise ConfigError(f'{".".join(path)}: {key}={node!r} is no dict; write {key}=dict(...)')
    stated = node.get(last)
    if stated is not None and stated != value:
        raise ConfigError(f'{source} gives {value!r}, but {place}={stated!r}; remove {place} from the config')
    node[last] = copy.deepcopy(value)
