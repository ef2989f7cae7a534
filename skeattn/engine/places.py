"""What a config holds: the keys of its top level, and what the value of a key is, by the key's name.

``optim_wrapper`` is an optimiser wrapper at the top of a config and in a protocol that trains, ``dataset`` a data set
at the top and in a hook. One table therefore describes a config at every depth.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine import registry as mmengine
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from skeattn.datasets import subsets
from skeattn.models.queue import FeatureQueue
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
from skeattn.signatures import arguments_of
from skeattn.steps import PLACING

# Nothing of ours but one optimiser wrapper; mmengine looks here first, and warns where there is no such place.
OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS, WEIGHT_INITIALIZERS, VISUALIZERS, VISBACKENDS, WRAPPERS, LOGS, *_ = (
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

TOP_LEVEL = (
    'stream', 'layout', 'channels', 'num_classes', 'batch_size', 'seed', 'dataset', 'evaluation', 'max_iters', 'model',
    'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_cfg', 'test_cfg', 'train_dataloader', 'val_dataloader',
    'test_dataloader', 'val_evaluator', 'test_evaluator', 'default_hooks', 'custom_hooks', 'custom_imports',
    'default_scope', 'env_cfg', 'launcher', 'load_from', 'resume', 'work_dir', 'randomness', 'visualizer',
    'log_processor', 'log_level', 'experiment_name', 'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
    'compile', 'auto_scale_lr', 'activation_checkpointing', 'efficient_conv_bn_eval', 'data_preprocessor', 'protocols',
)  # fmt: skip

# What config.py writes where.
PLACES = {
    'stream': ('model.data_preprocessor.stream',),
    'layout': ('model.data_preprocessor.layout', 'model.backbone.layout', 'dataset.layout'),
    'channels': ('model.data_preprocessor.channels', 'dataset.channels'),
    'num_classes': ('model.head.num_classes',),
    'seed': ('randomness.seed',),
}
GIVEN = {**PLACES, 'channels': (*PLACES['channels'], 'model.backbone.in_channels')}
VIEWS = 'model.data_preprocessor.views'
STEPS = ('dataset.pipeline', 'default_hooks', 'evaluation.evaluators')
MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


@dataclass(frozen=True)
class Kind:
    """What a component can be.

    Args:
        registry: where its ``type`` is looked up.
        default: its ``type`` where none is written.
        also: keys beside the arguments of its class, which somebody else reads.
    """

    registry: Registry
    default: str | None = None
    also: Collection[str] = ()


COMPONENTS = {
    'model': Kind(MODELS),
    'data_preprocessor': Kind(MODELS),
    'backbone': Kind(BACKBONES),
    'projector': Kind(NECKS),
    'predictor': Kind(NECKS),
    'mhsam': Kind(NECKS),
    'attention_drop': Kind(NECKS, 'AttentionDrop'),
    'edges': Kind(MODELS),
    'head': Kind(HEADS),
    'loss': Kind(LOSSES),
    'norm_cfg': Kind(MODELS, also=('requires_grad',)),
    'init_cfg': Kind(WEIGHT_INITIALIZERS, also=('override',)),
    'dataset': Kind(DATASETS, 'SkeletonDataset', also=('protocol',)),  # which SkeletonDataset reads as split
    'sampler': Kind(DATA_SAMPLERS, 'GlobalBatchSampler'),
    'optim_wrapper': Kind(OPTIM_WRAPPERS, 'OptimWrapper', also=('constructor', 'paramwise_cfg')),
    'optimizer': Kind(OPTIMIZERS),
    'param_scheduler': Kind(PARAM_SCHEDULERS, also=('convert_to_iter_based',)),
    'train_cfg': Kind(LOOPS, 'EpochLoop', also=('by_epoch',)),
    'val_cfg': Kind(LOOPS, 'FeatureLoop'),
    'test_cfg': Kind(LOOPS, 'FeatureLoop'),
    'custom_hooks': Kind(HOOKS, also=('priority',)),
    'visualizer': Kind(VISUALIZERS, also=('name',)),
    'vis_backends': Kind(VISBACKENDS),
    'log_processor': Kind(LOGS, 'LogProcessor'),
    'model_wrapper_cfg': Kind(WRAPPERS),
}
NAMED = {
    'pipeline': Kind(TRANSFORMS, also=PLACING),
    'default_hooks': Kind(HOOKS, also=('priority',)),
    'evaluators': Kind(EVALUATORS),
}
OPERATION = Kind(AUGMENTS, also=PLACING)
PROTOCOL = Kind(EVALUATORS, also=('source',))


def _arguments(*functions: Any) -> set[str]:
    return {name for function in functions for name in arguments_of(function)[0]}


# Keys of dicts that are no components, by what holds them (an empty name: the top level) and name.
SETTINGS: dict[tuple[Registry | str, str], Collection[str]] = {
    ('', 'evaluation'): ('interval', 'evaluators', 'source', 'batch_size'),
    ('', 'train_dataloader'): _arguments(DataLoader),
    ('', 'randomness'): _arguments(Runner.set_randomness),
    ('', 'custom_imports'): ('imports', 'allow_failed_imports'),
    ('', 'auto_scale_lr'): ('enable', 'base_batch_size'),
    ('', 'env_cfg'): ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    ('env_cfg', 'mp_cfg'): _arguments(set_multi_processing),
    (MODELS, 'queue'): _arguments(FeatureQueue) - {'channels'},
    (DATASETS, 'subset'): subsets.SETTINGS,
    (OPTIM_WRAPPERS, 'clip_grad'): _arguments(clip_grad_norm_, clip_grad_value_) - {'parameters'} | {'type'},
    (OPTIM_WRAPPERS, 'paramwise_cfg'): (
        'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'dwconv_decay_mult', 'flat_decay_mult',
        'dcn_offset_lr_mult', 'bypass_duplicate',
    ),
}  # fmt: skip
# Keys of each of several such dicts with names of the user's.
SETTINGS_OF_EACH: dict[tuple[Registry | str, str], Collection[str]] = {
    ('paramwise_cfg', 'custom_keys'): ('lr_mult', 'decay_mult'),
}


def at(cfg: Config | Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The dict at a place; an empty one where there is none."""
    node: Any = cfg
    for key in filter(None, place.split('.')):
        node = node.get(key) if isinstance(node, Mapping | Config) else None
    return node if isinstance(node, Mapping | Config) else {}
