"""Typing errors in configs, told with their place and what was meant, before anything is built."""

from collections.abc import Mapping
from typing import Any

from mmengine import registry as mmengine
from mmengine.config import Config

from skeattn.errors import ConfigError, did_you_mean
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

# What config.py writes where.
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
MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
TOP_LEVEL = (
    'stream', 'layout', 'channels', 'num_classes', 'batch_size', 'seed', 'dataset', 'evaluation', 'max_iters', 'model',
    'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_cfg', 'test_cfg', 'train_dataloader', 'val_dataloader',
    'test_dataloader', 'val_evaluator', 'test_evaluator', 'default_hooks', 'custom_hooks', 'custom_imports',
    'default_scope', 'env_cfg', 'launcher', 'load_from', 'resume', 'work_dir', 'randomness', 'visualizer',
    'log_processor', 'log_level', 'experiment_name', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
    'compile', 'auto_scale_lr', 'activation_checkpointing', 'efficient_conv_bn_eval', 'data_preprocessor', 'protocols',
)  # fmt: skip


def at(cfg: Config | Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The dict at a place; an empty one where there is none."""
    node: Any = cfg
    for key in filter(None, place.split('.')):
        node = node.get(key) if isinstance(node, Mapping | Config) else None
    return node if isinstance(node, Mapping | Config) else {}


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
            raise ConfigError(
                f'--cfg-options {option}: the config has no {key!r}; {did_you_mean(key, [*cfg, *TOP_LEVEL])}'
            )


def _refuse_unknown_step(cfg: Config, option: str) -> None:
    """``views.query.share=None`` would remove nothing, and the run be taken for an ablation."""
    place, _, last = option.rpartition('.')
    known = {*at(cfg, place), *_liked(cfg, place)}
    if place and known and last not in known | {*MMENGINE_HOOKS}:
        raise ConfigError(
            f'--cfg-options {option}=None: {place} has no {last!r} to remove; {did_you_mean(last, [*known])}'
        )


def check_removals(cfg: Config, path: str) -> None:
    """Refuse a file whose ``pipeline=dict(aling=None)`` merges into its base as a step that is not there.

    Raises:
        ConfigError: such a step, with the nearest ones.
    """
    with open(path, encoding='utf-8') as file:
        if 'None' not in file.read():
            return
    files = [Config._get_cfg_path(base, path)[0] for base in Config._get_base_files(path)]
    bases = [Config.fromfile(file, import_custom_modules=False) for file in files]
    # Some bases hold settings under a name of their own, for a config to lay over the others: pipelines/clean.py.
    laid_over = [part for base in bases for part in base.values() if isinstance(part, Mapping)]
    for place in (*STEPS, *(f'{VIEWS}.{view}' for view in at(cfg, VIEWS))):
        steps, inherited = at(cfg, place), {name for base in bases for name in at(base, place)}
        if not inherited or inherited - steps.keys():  # there was nothing, or it was replaced
            continue
        known = {
            *inherited,
            *_liked(cfg, place),
            *MMENGINE_HOOKS,
            *(name for part in laid_over for name in at(part, place)),
        }
        for name in [name for name, step in steps.items() if step is None and name not in known]:
            raise ConfigError(f'{path}: {place} has no {name!r} to remove; {did_you_mean(name, [*inherited])}')


def _liked(cfg: Config, place: str) -> set[str]:
    """The operations that a training view has from the one that it is ``like``."""
    seen = [place] if place.startswith(f'{VIEWS}.') else []
    while seen and seen[-1] not in seen[:-1] and (like := at(cfg, seen[-1]).get('like')):
        seen.append(f'{VIEWS}.{like}')
    return {name for view in seen[1:] for name in at(cfg, view)}


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
        *(part for view in at(cfg, VIEWS) for part in _parts(cfg, f'{VIEWS}.{view}', AUGMENTS)),
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
            near = did_you_mean(name, registry.names())
            raise ConfigError(f'{place}: type={name!r} is not in the registry {registry.name!r}; {near}')
    for place, component, registry in ours:
        if isinstance(component, Mapping) and 'type' in component:
            _check_arguments(place, component, registry)


def _parts(cfg: Config, place: str, registries: Registry | Mapping[str, Registry]) -> list[tuple[str, Any, Registry]]:
    """The named parts of a dict, each with its place and its registry."""
    node = at(cfg, place)
    named = registries if isinstance(registries, Mapping) else dict.fromkeys(node, registries)
    return [(f'{place}.{name}'.lstrip('.'), node.get(name), registry) for name, registry in named.items()]


def _check_arguments(place: str, component: Mapping[str, Any], registry: Registry) -> None:
    kind = component['type']
    known, any_other = arguments_of(registry.get(kind) if isinstance(kind, str) else kind)
    for key in () if any_other else sorted(component.keys() - {'type', '_scope_'} - known):
        hint = did_you_mean(key, [*known, 'type'])
        if place == 'model.backbone':  # most often an argument of the base's backbone
            hint += '; to drop what a base says, write _delete_=True into model.backbone'
        for top, places in GIVEN.items():
            if f'{place}.{key}' in places:
                hint = f'it comes from {top!r} at the top of the config: let it take {key!r}'
        raise ConfigError(f'{place}: {getattr(kind, "__name__", kind)} takes no {key!r}; {hint}')
