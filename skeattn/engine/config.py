"""What stands once at the top of a config, written to every place that needs it.

mmengine carries neither a child config's ``stream='bone'`` nor ``--cfg-options stream=bone`` into values that were
built from ``stream`` elsewhere, so the places are filled when the Runner is built. The config that is printed, dumped
and stored in checkpoints is the one the user wrote: it can be read, changed in one place and run again.
"""

import contextlib
import copy
import difflib
import os
import pprint
from collections.abc import Mapping
from typing import Any

from mmengine import registry as mmengine
from mmengine.config import Config, ConfigDict

from skeattn.datasets.packed import PackedSet
from skeattn.errors import ConfigError, DataError
from skeattn.registry import (
    AUGMENTS,
    BACKBONES,
    DATASETS,
    EVALUATORS,
    HEADS,
    HOOKS,
    LOOPS,
    LOSSES,
    MODELS,
    NECKS,
    TRANSFORMS,
    Registry,
    arguments_of,
)
from skeattn.skeletons import LAYOUTS, get_layout

# Nothing of ours but one optimiser wrapper; mmengine looks here first, and warns where there is no such place.
OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS, *_ = (
    Registry(parent.name, parent=parent, scope='skeattn')
    for parent in (
        mmengine.OPTIM_WRAPPERS,
        mmengine.OPTIMIZERS,
        mmengine.PARAM_SCHEDULERS,
        mmengine.OPTIM_WRAPPER_CONSTRUCTORS,
        mmengine.WEIGHT_INITIALIZERS,
        mmengine.VISUALIZERS,
        mmengine.VISBACKENDS,
    )
)

PLACES = {
    'stream': ('model.data_preprocessor.stream',),
    'layout': ('model.data_preprocessor.layout', 'model.backbone.layout', 'dataset.layout'),
    'channels': ('model.data_preprocessor.channels', 'dataset.channels'),
    'num_classes': ('model.head.num_classes',),
    'seed': ('randomness.seed',),
}
MODEL_PARTS = {
    'data_preprocessor': MODELS, 'backbone': BACKBONES, 'head': HEADS, 'loss': LOSSES,
    **dict.fromkeys(('projector', 'predictor', 'mhsam', 'attention_drop'), NECKS),
}  # fmt: skip
GIVEN = {**PLACES, 'channels': (*PLACES['channels'], 'model.backbone.in_channels')}
VIEWS = 'model.data_preprocessor.views'
STEPS = ('dataset.pipeline', 'default_hooks', 'evaluation.evaluators')
OPTIONAL = (['model', 'backbone'], ['model', 'head'])
EVALUATION = ('interval', 'evaluators', 'source', 'batch_size')
MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
TOP_LEVEL = (
    'stream', 'layout', 'channels', 'num_classes', 'batch_size', 'seed', 'dataset', 'evaluation', 'max_iters', 'model',
    'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_cfg', 'test_cfg', 'train_dataloader', 'val_dataloader',
    'test_dataloader', 'val_evaluator', 'test_evaluator', 'default_hooks', 'custom_hooks', 'custom_imports',
    'default_scope', 'env_cfg', 'launcher', 'load_from', 'resume', 'work_dir', 'randomness', 'visualizer',
    'log_processor', 'log_level', 'experiment_name', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
    'compile', 'auto_scale_lr', 'activation_checkpointing', 'efficient_conv_bn_eval', 'data_preprocessor', 'protocols',
)  # fmt: skip


class OrderedConfig(Config):
    """A config whose text keeps the order of its keys; mmengine's sorts them.

    Pipelines and views run in the order written, so a sorted text would be another experiment when run again.
    """

    @classmethod
    def of(cls, cfg: Config) -> 'OrderedConfig':
        """The same config, as this class."""
        return cls(cfg.to_dict(), cfg_text=cfg.text or ' ', filename=cfg.filename)

    @property
    def pretty_text(self) -> str:
        """Python source that reads back as this config."""
        lines = (
            f'{key} = {pprint.pformat(value, width=110, sort_dicts=False)}' for key, value in self.to_dict().items()
        )
        return '\n'.join(lines) + '\n'


def read_config(path: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> OrderedConfig:
    """A config file with overrides merged, not resolved yet.

    Args:
        path: the file.
        options: overrides by dotted key.

    Raises:
        ConfigError: no such file, an override that fits nothing, or a step that is set to None and that no base has.
    """
    if not os.path.isfile(path):
        raise ConfigError(f'no config file {path}; those of the toolbox lie in configs/<method>/')
    try:
        cfg = OrderedConfig.of(Config.fromfile(path))
    except (OSError, SyntaxError, KeyError, ImportError) as error:
        hint = '; put the folder of your modules on PYTHONPATH' if isinstance(error, ImportError) else ''
        raise ConfigError(f'{path} cannot be read: {error}{hint}') from error
    _refuse_idle_removals(cfg, os.fspath(path))
    check_options(cfg, options or {})
    cfg.merge_from_dict(dict(options or {}))
    cfg.setdefault('stream', 'joint')
    return cfg


def resolve_config(cfg: Config, world_size: int = 1) -> Config:
    """Fill every place of a config that follows from its top level; the argument is left as it is.

    ===============  ==================================================================================================
    top level        written to
    ===============  ==================================================================================================
    ``stream``       the preprocessor (default: joint; a list for a method that reads several)
    ``layout``       the preprocessor, the backbone, the data set, by name; one's own may be defined here (a dict)
    ``channels``     the preprocessor, the data set, and by their number the backbone (default: x, y, z)
    ``num_classes``  the classifier of a model that has one
    ``seed``         ``randomness``
    ``batch_size``   the sampler (global) and the training loader (each process its share)
    ``dataset``      all loaders, with the split they need; its pipeline's ``num_persons``: a backbone that takes it
    ``evaluation``   ``interval``, ``evaluators`` (a dict; None removes one), ``source``, ``batch_size``: the loops
    ``max_epochs``   of ``train_cfg``: the period of a ``CosineAnnealingLR`` without ``T_max``
    ``max_iters``    stops training after that many iterations (default: ``train_cfg.max_epochs`` epochs)
    ===============  ==================================================================================================

    Args:
        cfg: a config as read from file, overrides merged.
        world_size: number of processes.

    Returns:
        a new config for the Runner; resolving it again changes nothing.

    Raises:
        ConfigError: a place says something else than the top level, a value is missing or does not divide, or a
            ``type`` is unknown.
    """
    cfg = copy.deepcopy(cfg)
    cfg.setdefault('stream', 'joint')
    if cfg.get('layout') is not None:
        cfg.layout = _learn_layout(cfg)
    for key, places in PLACES.items():
        if cfg.get(key) is not None:
            for place in places:
                _write(cfg, place, cfg[key], key)
    if cfg.get('channels') is not None:
        _write(cfg, 'model.backbone.in_channels', len(cfg.channels), 'channels')
    if 'default_hooks' in cfg:
        hooks = cfg.default_hooks.items()
        cfg.default_hooks = ConfigDict({name: hook for name, hook in hooks if hook or name in MMENGINE_HOOKS})
    if 'dataset' in cfg:
        cfg.dataset.setdefault('type', 'SkeletonDataset')
        if isinstance(cfg.dataset.get('pipeline'), Mapping):
            steps = cfg.dataset.pipeline.items()
            cfg.dataset.pipeline = ConfigDict({name: step for name, step in steps if step is not None})
            _write_num_persons(cfg)
        _resolve_training(cfg, world_size)
        _resolve_evaluation(cfg)
    check_types(cfg)
    return cfg


def world_size(launcher: str) -> int:
    """Number of processes that the launcher started, known before they are connected."""
    names = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}
    return int(os.environ[names[launcher]]) if launcher in names else 1


def check_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Refuse an override whose first key is neither in the config nor known: a typing error would pass in silence.

    Raises:
        ConfigError: such a key, with the nearest known ones.
    """
    for option, value in options.items():
        if value is None:
            _refuse_unknown_step(cfg, option)
        key = option.split('.')[0]
        if key not in cfg and key not in TOP_LEVEL:
            raise ConfigError(f'--cfg-options {option}: the config has no {key!r}; {nearest(key, [*cfg, *TOP_LEVEL])}')


def _refuse_unknown_step(cfg: Config, option: str) -> None:
    """``views.query.share=None`` would remove nothing, and the run be taken for an ablation."""
    place, _, last = option.rpartition('.')
    known = {*_at(cfg, place), *_liked(cfg, place)}
    if place and known and last not in known | {*MMENGINE_HOOKS}:
        raise ConfigError(f'--cfg-options {option}=None: {place} has no {last!r} to remove; {nearest(last, [*known])}')


def _refuse_idle_removals(cfg: Config, path: str) -> None:
    """The same for a file: ``pipeline=dict(aling=None)`` merges into its base as a step that is not there."""
    with open(path, encoding='utf-8') as file:
        if 'None' not in file.read():
            return
    files = [Config._get_cfg_path(base, path)[0] for base in Config._get_base_files(path)]
    bases = [Config.fromfile(file, import_custom_modules=False) for file in files]
    # Some bases hold settings under a name of their own, for a config to lay over the others: pipelines/clean.py.
    laid_over = [part for base in bases for part in base.values() if isinstance(part, Mapping)]
    for place in (*STEPS, *(f'{VIEWS}.{view}' for view in _at(cfg, VIEWS))):
        steps, inherited = _at(cfg, place), {name for base in bases for name in _at(base, place)}
        if not inherited or inherited - steps.keys():  # there was nothing, or it was replaced
            continue
        known = {
            *inherited,
            *_liked(cfg, place),
            *MMENGINE_HOOKS,
            *(name for part in laid_over for name in _at(part, place)),
        }
        for name in [name for name, step in steps.items() if step is None and name not in known]:
            raise ConfigError(f'{path}: {place} has no {name!r} to remove; {nearest(name, [*inherited])}')


def _liked(cfg: Config, place: str) -> set[str]:
    """The operations that a training view has from the one that it is ``like``."""
    seen = [place] if place.startswith(f'{VIEWS}.') else []
    while seen and seen[-1] not in seen[:-1] and (like := _at(cfg, seen[-1]).get('like')):
        seen.append(f'{VIEWS}.{like}')
    return {name for view in seen[1:] for name in _at(cfg, view)}


def check_types(cfg: Config) -> None:
    """Look up every component that a config names, so that a typing error is told with its place.

    Raises:
        ConfigError: an unknown ``type``, or an argument that it does not take; names the nearest known ones.
    """
    optim = cfg.get('optim_wrapper') or {}
    schedulers = cfg.get('param_scheduler') or []
    evaluators = cfg.get('test_evaluator') or {}
    schedulers = [schedulers] if isinstance(schedulers, Mapping) else schedulers
    ours = [
        *_parts(cfg, '', {'model': MODELS, 'dataset': DATASETS}),
        *_parts(cfg, 'model', MODEL_PARTS),
        *(part for view in _at(cfg, VIEWS) for part in _parts(cfg, f'{VIEWS}.{view}', AUGMENTS)),
        *_parts(cfg, 'dataset.pipeline', TRANSFORMS),
    ]
    others = [  # whose arguments are looked at where they are built
        ('optim_wrapper', optim, OPTIM_WRAPPERS),
        ('optim_wrapper.optimizer', optim.get('optimizer'), OPTIMIZERS),
        *((f'param_scheduler[{i}]', item, PARAM_SCHEDULERS) for i, item in enumerate(schedulers)),
        *_parts(cfg, '', dict.fromkeys(('train_cfg', 'val_cfg', 'test_cfg'), LOOPS)),
        *_parts(cfg, 'default_hooks', HOOKS),
        *((f'evaluation.evaluators.{name}', item, EVALUATORS) for name, item in evaluators.items()),
    ]
    for place, component, registry in ours + others:
        name = component.get('type') if isinstance(component, Mapping) else None
        if isinstance(name, str) and registry.get(name) is None:
            near = nearest(name, registry.names())
            raise ConfigError(f'{place}: type={name!r} is not in the registry {registry.name!r}; {near}')
    for place, component, registry in ours:
        if isinstance(component, Mapping) and 'type' in component:
            _check_arguments(place, component, registry)


def _at(cfg: Config | Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The dict at a place; an empty one where there is none."""
    node: Any = cfg
    for key in filter(None, place.split('.')):
        node = node.get(key) if isinstance(node, Mapping | Config) else None
    return node if isinstance(node, Mapping | Config) else {}


def _parts(cfg: Config, place: str, registries: Registry | Mapping[str, Registry]) -> list[tuple[str, Any, Registry]]:
    """The named parts of a dict, each with its place and its registry."""
    node = _at(cfg, place)
    named = registries if isinstance(registries, Mapping) else dict.fromkeys(node, registries)
    return [(f'{place}.{name}'.lstrip('.'), node.get(name), registry) for name, registry in named.items()]


def _check_arguments(place: str, component: Mapping[str, Any], registry: Registry) -> None:
    kind = component['type']
    known, any_other = arguments_of(registry.get(kind) if isinstance(kind, str) else kind)
    for key in () if any_other else sorted(component.keys() - {'type', '_scope_'} - known):
        hint = nearest(key, [*known, 'type'])
        for top, places in GIVEN.items():
            if f'{place}.{key}' in places:
                hint = f'it comes from {top!r} at the top of the config: let it take {key!r}'
        raise ConfigError(f'{place}: {getattr(kind, "__name__", kind)} takes no {key!r}; {hint}')


def _learn_layout(cfg: Config) -> str:
    """The layout's name; a layout that is defined in the config or by the packed set is known from then on."""
    layout, data = cfg.layout, cfg.get('dataset', {}).get('data')
    if isinstance(layout, str) and layout not in LAYOUTS and data is not None:
        with contextlib.suppress(DataError):  # said when the set is read
            PackedSet.open(data)
    return get_layout(layout).name


def _write_num_persons(cfg: Config) -> None:
    """A backbone that reads the persons of a clip together is as wide as the pipeline packs persons."""
    kind = _at(cfg, 'model.backbone').get('type')
    backbone = BACKBONES.get(kind) if isinstance(kind, str) else kind
    if backbone is None or 'num_persons' not in arguments_of(backbone)[0]:
        return
    for name, step in cfg.dataset.pipeline.items():
        if 'num_persons' in step:
            _write(cfg, 'model.backbone.num_persons', step.num_persons, f'dataset.pipeline.{name}.num_persons')


def _resolve_training(cfg: Config, world_size: int) -> None:
    if cfg.get('train_cfg') is None:
        return
    batch_size = cfg.get('batch_size')
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigError(f'batch_size={batch_size!r} at the top of the config must be a positive number of clips')
    if batch_size % world_size:
        raise ConfigError(
            f'batch_size={batch_size} is shared by {world_size} processes and does not divide; '
            f'take a multiple of {world_size}'
        )
    _write(cfg, 'train_dataloader.dataset', {**cfg.dataset, 'split': 'train'}, 'dataset')
    _write(cfg, 'train_dataloader.sampler.batch_size', batch_size, 'batch_size')
    _write(cfg, 'train_dataloader.batch_size', batch_size // world_size, f'batch_size over {world_size} processes')
    defaults = {'num_workers': 0, 'collate_fn': {'type': 'take_whole_batch'}}
    cfg.train_dataloader = ConfigDict(defaults | cfg.train_dataloader.to_dict())
    cfg.train_dataloader.sampler.setdefault('type', 'GlobalBatchSampler')
    cfg.train_cfg.pop('by_epoch', None)
    cfg.train_cfg.setdefault('type', 'EpochLoop')
    if cfg.get('max_iters') is not None:
        if not isinstance(cfg.max_iters, int) or cfg.max_iters < 1:
            raise ConfigError(f'max_iters={cfg.max_iters!r} must be a positive number of iterations')
        _write(cfg, 'train_cfg.max_iters', cfg.max_iters, 'max_iters')
    scheduler = cfg.get('param_scheduler')
    if isinstance(scheduler, Mapping) and scheduler.get('type') == 'CosineAnnealingLR':
        cfg.param_scheduler.setdefault('T_max', cfg.train_cfg.max_epochs)


def _resolve_evaluation(cfg: Config) -> None:
    evaluation = cfg.get('evaluation') or ConfigDict()
    for key in evaluation:
        if key not in EVALUATION:
            raise ConfigError(f'evaluation has no {key!r}; {nearest(key, list(EVALUATION))}')
    evaluators = {name: item for name, item in (evaluation.get('evaluators') or {}).items() if item is not None}
    if not evaluators:
        return
    options = {key: evaluation[key] for key in ('source', 'batch_size') if key in evaluation}
    sets = {'bank': {**cfg.dataset, 'split': 'train'}, 'test': {**cfg.dataset, 'split': 'test'}}
    for stage in ('val', 'test') if cfg.get('train_cfg') is not None else ('test',):
        _write(cfg, f'{stage}_dataloader', sets, 'dataset')
        _write(cfg, f'{stage}_evaluator', evaluators, 'evaluation.evaluators')
        _write(cfg, f'{stage}_cfg', {'type': 'FeatureLoop', **options}, 'evaluation')
    if cfg.get('train_cfg') is not None and 'interval' in evaluation:
        _write(cfg, 'train_cfg.val_interval', evaluation.interval, 'evaluation.interval')


def _write(cfg: Config, place: str, value: Any, source: str) -> None:
    *path, last = place.split('.')
    if path in OPTIONAL and cfg.get('model', {}).get(path[1]) is None:
        return
    node = cfg
    for key in path:
        if node.get(key) is None:
            node[key] = ConfigDict()
        node = node[key]
    found = node.get(last)
    if found is not None and found != value:
        raise ConfigError(f'{source} gives {value!r}, but {place}={found!r}; remove {place} from the config')
    node[last] = copy.deepcopy(value)


def nearest(name: str, known: list[str]) -> str:
    """The known names that a wrong one could have meant, as a hint for the end of a message."""
    near = difflib.get_close_matches(name, sorted(set(known)), n=3, cutoff=0.4)
    return f'did you mean {" or ".join(map(repr, near))}?' if near else f'known: {", ".join(sorted(known))}'
