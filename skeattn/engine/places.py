"""The keys of a config's top level, and the kind of a key's value, by the key's name.

``optim_wrapper`` is an optimiser wrapper at the top of a config and in a protocol that trains, ``dataset`` a data set
at the top and in a hook. One table therefore describes a config at every depth.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mmengine import registry as mmengine
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from skeattn.datasets import subsets
from skeattn.models.queue import FeatureQueue
from skeattn.models.readout import READOUTS
from skeattn.registry import (
    AUGMENTS,
    BACKBONES,
    DATA_SAMPLERS,
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
)
from skeattn.signatures import types_of
from skeattn.skeletons import SkeletonLayout
from skeattn.steps import PLACING

# Mostly empty; mmengine searches here first, and warns if a registry is missing.
(
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    WEIGHT_INITIALIZERS,
    VISUALIZERS,
    VISBACKENDS,
    WRAPPERS,
    LOGS,
    CONSTRUCTORS,
) = (
    Registry(parent.name, parent=parent, scope='skeattn')
    for parent in (
        mmengine.OPTIM_WRAPPERS,
        mmengine.OPTIMIZERS,
        mmengine.PARAM_SCHEDULERS,
        mmengine.WEIGHT_INITIALIZERS,
        mmengine.VISUALIZERS,
        mmengine.VISBACKENDS,
        mmengine.MODEL_WRAPPERS,
        mmengine.LOG_PROCESSORS,
        mmengine.OPTIM_WRAPPER_CONSTRUCTORS,
    )
)

# The keys of the top level and their types; Any where the value is a component or settings, checked by their own keys.
TOP_LEVEL: dict[str, Any] = {
    'layout': str | Mapping | SkeletonLayout | Sequence[str | Mapping | SkeletonLayout] | None,
    'stream': str | Sequence[str],
    'channels': Sequence[str] | None,
    'num_classes': int | None,
    'batch_size': int | None,
    'seed': int | None,
    'max_iters': int | None,
    'default_scope': str | None,
    'launcher': Literal['none', 'pytorch', 'slurm', 'mpi'],
    'load_from': str | os.PathLike | None,
    'resume': bool,
    'work_dir': str | os.PathLike | None,
    'log_level': Literal['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG'] | int,
    'default_hooks': Mapping | None,
    'env_cfg': Mapping,
    'amp': bool | Literal['auto'] | None,
    'protocols': Mapping | None,
    'compile': bool | Mapping | None,
    'activation_checkpointing': str | Sequence[str] | None,
    'efficient_conv_bn_eval': str | Sequence[str] | None,
    'sync_bn': Literal['torch', 'mmcv'] | None,
    'experiment_name': str | None,
    'find_unused_parameters': bool,
    **dict.fromkeys((
        'dataset', 'evaluation', 'model', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_cfg',
        'test_cfg', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator',
        'custom_hooks', 'custom_imports', 'randomness', 'visualizer', 'log_processor',
        'model_wrapper_cfg', 'auto_scale_lr',
    ), Any),
}  # fmt: skip

# Top-level key -> the places to which config.py copies it.
CONFIG_TARGETS = {
    'stream': ('model.data_preprocessor.stream',),
    'layout': ('model.data_preprocessor.layout', 'model.backbone.layout', 'dataset.layout'),
    'channels': ('model.data_preprocessor.channels', 'dataset.channels'),
    'num_classes': ('model.head.num_classes',),
    'seed': ('randomness.seed',),
}
GIVEN = {**CONFIG_TARGETS, 'channels': (*CONFIG_TARGETS['channels'], 'model.backbone.in_channels')}
VIEWS = 'model.data_preprocessor.views'
VIEW_SETTINGS = ('source', 'like', 'within')
STEPS = ('dataset.pipeline', 'default_hooks', 'evaluation.evaluators', 'visualizer.vis_backends')
MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


@dataclass(frozen=True)
class Kind:
    """The kind of a component.

    Args:
        registry: where its ``type`` is looked up.
        default: its ``type`` where none is written.
        also: further keys, which are read elsewhere and are no arguments of the class.
        several: a list of them is also allowed.
    """

    registry: Registry
    default: str | None = None
    also: Collection[str] = ()
    several: bool = False


COMPONENTS = {
    'model': Kind(MODELS),
    'data_preprocessor': Kind(MODELS),
    'backbone': Kind(BACKBONES),
    'projector': Kind(NECKS),
    'predictor': Kind(NECKS),
    'mhsam': Kind(NECKS),
    'attention_drop': Kind(NECKS, 'AttentionDrop'),
    'decoder': Kind(NECKS, 'TokenDecoder'),
    'edges': Kind(MODELS),
    'head': Kind(HEADS),
    'loss': Kind(LOSSES),
    'norm_cfg': Kind(MODELS, also=('requires_grad',)),
    'out_norm_cfg': Kind(MODELS, also=('requires_grad',)),
    'init_cfg': Kind(WEIGHT_INITIALIZERS, also=('override',), several=True),
    'dataset': Kind(DATASETS, 'SkeletonDataset', also=('protocol',)),  # which SkeletonDataset reads as split
    'sampler': Kind(DATA_SAMPLERS, 'GlobalBatchSampler'),
    'optim_wrapper': Kind(OPTIM_WRAPPERS, 'OptimWrapper', also=('constructor', 'paramwise_cfg')),
    'optimizer': Kind(OPTIMIZERS),
    'param_scheduler': Kind(PARAM_SCHEDULERS, also=('convert_to_iter_based',), several=True),
    'train_cfg': Kind(LOOPS, 'EpochLoop', also=('by_epoch',)),
    'val_cfg': Kind(LOOPS, 'FeatureLoop'),
    'test_cfg': Kind(LOOPS, 'FeatureLoop'),
    'custom_hooks': Kind(HOOKS, also=('priority',), several=True),
    'visualizer': Kind(VISUALIZERS, also=('name',)),
    'vis_backends': Kind(VISBACKENDS, several=True),
    'log_processor': Kind(LOGS, 'LogProcessor'),
    'model_wrapper_cfg': Kind(WRAPPERS, 'MMDistributedDataParallel'),
}
NAMED = {
    'pipeline': Kind(TRANSFORMS, also=PLACING),
    'default_hooks': Kind(HOOKS, also=('priority',), several=True),
    'vis_backends': Kind(VISBACKENDS),
    'evaluators': Kind(EVALUATORS),
}
OPERATION = Kind(AUGMENTS, also=PLACING)
PROTOCOL = Kind(EVALUATORS, also=('source', 'readout'))
READOUT: Any = Literal.__getitem__(tuple(READOUTS))


def _arguments(*functions: Any) -> dict[str, Any]:
    return {name: kind for function in functions for name, kind in types_of(function).items()}


def _without(types: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: kind for key, kind in types.items() if key != name}


# Keys and types of dicts that are no components, by their owner (an empty name: the top level) and their name.
SETTINGS: dict[tuple[Registry | str, str], Mapping[str, Any]] = {
    ('', 'evaluation'): {
        'interval': int, 'evaluators': Mapping | None, 'source': str, 'readout': READOUT, 'batch_size': int,
        'autocast': bool,
    },
    # The sampler decides on order and incomplete batches.
    ('', 'train_dataloader'): {
        **_without(_without(_without(_arguments(DataLoader), 'shuffle'), 'drop_last'), 'batch_sampler'),
        'num_workers': int, 'batch_size': int | None,
    },
    ('', 'randomness'): _arguments(Runner.set_randomness),
    ('', 'custom_imports'): {'imports': str | Sequence[str], 'allow_failed_imports': bool},
    ('', 'auto_scale_lr'): {'enable': bool, 'base_batch_size': int},
    ('', 'env_cfg'): {
        'cudnn_benchmark': bool, 'mp_cfg': Mapping | None, 'dist_cfg': Mapping | None, 'resource_limit': int,
        'matmul_precision': Literal['highest', 'high', 'medium'],
    },
    ('env_cfg', 'mp_cfg'): _arguments(set_multi_processing),
    (MODELS, 'queue'): _without(_without(_arguments(FeatureQueue), 'channels'), 'with_ids'),
    (DATASETS, 'subset'): {
        name: Any if value is None else type(value) | None for name, value in subsets.SETTINGS.items()
    },
    (OPTIM_WRAPPERS, 'clip_grad'): {
        **_without(_arguments(clip_grad_norm_, clip_grad_value_), 'parameters'),
        'type': Literal['norm', 'value', 'each', 'part'],
    },
    (OPTIM_WRAPPERS, 'paramwise_cfg'): {
        'custom_keys': Mapping | None, 'bias_lr_mult': float, 'bias_decay_mult': float, 'norm_decay_mult': float,
        'dwconv_decay_mult': float, 'flat_decay_mult': float, 'dcn_offset_lr_mult': float, 'bypass_duplicate': bool,
        'layer_decay': float,
    },
}  # fmt: skip
# Keys of each dict among several whose names the user chooses.
SETTINGS_OF_EACH: dict[tuple[Registry | str, str], Mapping[str, Any]] = {
    ('paramwise_cfg', 'custom_keys'): {'lr_mult': float, 'decay_mult': float, 'held': float},
}
# Required keys of such a dict.
REQUIRED = {'queue': ('size',), 'custom_imports': ('imports',), 'auto_scale_lr': ('base_batch_size',)}
# Types of arguments that mmengine does not annotate, or wrongly.
ANNOTATIONS = {'window_size': int, 'by_epoch': bool, 'vis_backends': Any}


def lookup(cfg: Config | Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The dict at a place; an empty one where there is none."""
    node: Any = cfg
    for key in filter(None, place.split('.')):
        node = node.get(key) if isinstance(node, Mapping | Config) else None
    return node if isinstance(node, Mapping | Config) else {}


def looked_up(kind: Any, registry: Registry) -> Any:
    """The class or function of a ``type``; None where there is none."""
    target = registry.get(kind) if kind and isinstance(kind, str) else kind
    return target if callable(target) else None
