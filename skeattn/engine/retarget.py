"""Transfer: an encoder trained on one data set, evaluated on a different one."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from skeattn.channels import AXES
from skeattn.datasets.transforms import Pipeline
from skeattn.datasets.union import in_words, layouts_of, open_sets, sets_of
from skeattn.engine.config import OrderedConfig, read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.models.joint_names import are_several, check_words
from skeattn.skeletons import SkeletonLayout, corresponding, describe_layout, get_layout

STEP = 'to_layout'
TYPES = ('SkeletonDataset', 'MultiLayoutDataset')
"""Data sets between which the model's layout decides."""


def retarget(cfg: Config, target: str | Path, num_frames: int | None = None) -> OrderedConfig:
    """The config of a pre-trained model on a different data set.

    From the target come data, split, pipeline and number of classes. The model, its stream and layout are those of
    pre-training. If the target has a different layout, a first step ``to_layout`` takes the model's joints by name;
    a model that knows joints by name (``layout`` is a list) reads the target's layout as it is. A
    classifier trained for a different number of classes is left out (``model.head=None``).

    Args:
        cfg: the config of the pre-training, not resolved.
        target: a config file with a data set; a file of ``configs/_base_/datasets`` suffices.
        num_frames: frames of a clip; by default as many as in pre-training.

    Raises:
        ConfigError: the target has no data set or different channels, or lacks joints of the model's layout; or its
            joints have words that the model does not know.
    """
    new, theirs = OrderedConfig.of(copy.deepcopy(cfg)), resolve_config(read_config(target))
    if 'dataset' not in theirs:
        raise ConfigError(f'{target} has no data set to evaluate on; give a config with dataset=dict(data=...)')
    channels, target_channels = (list(item.get('channels') or AXES) for item in (cfg, theirs))
    if channels != target_channels:
        raise ConfigError(
            f'channels={channels} of the model, but {target} has channels={target_channels}; pre-train on data with '
            f'these, or evaluate on data with {channels}'
        )
    ours = resolve_config(cfg)
    steps = {name: dict(step) for name, step in (theirs.dataset.get('pipeline') or {}).items()}
    frames = num_frames or _frames(ours)
    if frames:
        steps = {name: step | ({'num_frames': frames} if 'num_frames' in step else {}) for name, step in steps.items()}
    if are_several(ours.get('layout')):
        known = [get_layout(layout) for layout in ours.layout]
        new.layout = [describe_layout(layout) for layout in known]
        for layout in theirs.layout if are_several(theirs.get('layout')) else [theirs.get('layout')]:
            check_words(_after(steps, get_layout(layout)), known)
    elif ours.get('layout') is not None:
        model_layout = get_layout(ours.layout)
        # A custom layout was defined by the data set of pre-training, which is no longer read.
        new.layout = describe_layout(model_layout)
        if theirs.get('layout') not in (None, model_layout.name):
            corresponding(get_layout(theirs.layout), model_layout)
            steps = {STEP: {'type': 'ToLayout', 'layout': new.layout}, **steps}
    follows = ('layout', 'channels', 'pipeline', *(['type'] if theirs.dataset.type in TYPES else []))
    kept = {key: value for key, value in theirs.dataset.items() if key not in follows}
    new.dataset = ConfigDict({**kept, 'pipeline': steps})
    _change_classes(new, theirs.get('num_classes'))
    return new


def transfer_text(pretrained: Mapping[str, Any], cfg: Config) -> str:
    """Data sets of training and of evaluation: 'pre-trained on data/ntu60 xsub (ntu25), evaluated on …'.

    Args:
        pretrained: ``data``, ``split`` (or ``protocol``, as it was called before) and ``layout`` of the pre-training,
            as far as they are known.
        cfg: the resolved config of the evaluation.
    """
    here = {
        'data': cfg.dataset.data,
        'split': cfg.dataset.split,
        'layout': [layout.name for layout in layouts_of(sets_of(open_sets(cfg.dataset.data)))],
    }
    return f'pre-trained on {_place(pretrained)}, evaluated on {_place(here)}'


def _place(facts: Mapping[str, Any]) -> str:
    words = (facts.get('data'), facts.get('split', facts.get('protocol')))  # as older checkpoints call the split
    named = ' '.join(in_words(word) for word in words if word is not None)
    layout = facts.get('layout')
    return (named or 'unknown data') + (f' ({in_words(layout)})' if layout else '')


def _after(steps: Mapping[str, Any], layout: SkeletonLayout) -> SkeletonLayout:
    """The layout of clips behind the steps of a pipeline."""
    return Pipeline(steps).layout_after(layout) if steps else layout


def _frames(cfg: Config) -> int | None:
    """Frames of a clip of a resolved config, set by its last step with ``num_frames``."""
    steps = (cfg.get('dataset') or {}).get('pipeline') or {}
    frames = [step['num_frames'] for step in steps.values() if 'num_frames' in step]
    return frames[-1] if frames else None


def _change_classes(cfg: Config, num_classes: int | None) -> None:
    """Remove a classifier for a different number of classes, and every evaluator that reads its logits."""
    before = cfg.get('num_classes')
    if num_classes is not None:
        cfg.num_classes = num_classes
    if cfg.model.get('head') is None or num_classes == before:
        return
    cfg.model.head = None
    evaluation = cfg.get('evaluation') or ConfigDict()
    if evaluation.get('source') == 'logits':
        evaluation.source = 'backbone'
    for name, item in (evaluation.get('evaluators') or {}).items():
        if item and item.get('type') == 'TopK':
            evaluation.evaluators[name] = None
