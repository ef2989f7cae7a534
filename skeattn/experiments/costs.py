"""Parameters, multiply-accumulates and activation memory of a config, as text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from tabulate import tabulate
from torch import Tensor, nn

from skeattn.channels import AXES
from skeattn.datasets import Pipeline
from skeattn.engine.build import load_model
from skeattn.evaluation.complexity import SavedActivations, encoder_cost, gmacs_by_module, training_cost
from skeattn.models.joint_names import are_several
from skeattn.skeletons import get_layout

FRAMES = 120
"""Frames of the random clips before the pipeline."""
NOTE = (
    'GMACs: 10^9 multiply-accumulates per clip, of matrix products, convolutions and attention. A training step is\n'
    'forward and backward, all views. Activations: peak memory of autograd for the backward pass, per clip, in\n'
    'float32, without weights, gradients, the optimiser and the scratch space of operations.'
)


def random_clips(cfg: Config, batch: int, persons: int) -> dict[str, Any]:
    """A batch of random motions after the pipeline, with all persons present in all frames; of the first layout."""
    layout = get_layout(cfg.layout[0] if are_several(cfg.layout) else cfg.layout)
    channels = tuple(cfg.get('channels') or AXES)
    rng, pipeline = np.random.default_rng(0), Pipeline(cfg.dataset.pipeline)
    clips = []
    for i in range(batch):
        pose = rng.normal(size=(persons, 1, layout.num_joints, len(channels)))
        motion = rng.normal(size=(persons, FRAMES, layout.num_joints, len(channels))).cumsum(axis=1)
        clip = {'layout': layout, 'channels': channels, 'name': f'random {i}', 'total_frames': FRAMES}
        clip['keypoint'] = (pose + 0.02 * motion).astype(np.float32)
        clips.append(torch.from_numpy(pipeline(clip)['inputs']))
    facts = {'labels': torch.zeros(batch, dtype=torch.int64), 'index': torch.arange(batch), 'layout': layout.name}
    return {'inputs': torch.stack(clips), **facts}


def costs(cfg: Config, clips: dict[str, Tensor], source: str) -> dict[str, Any]:
    """All figures of a config."""
    encoder, model = encoder_cost(load_model(cfg), clips, source), load_model(cfg)
    saved = SavedActivations(model)
    with saved:
        training = training_cost(model, clips)
    return {
        'encoder_parameters': encoder['parameters'],
        'encoder_gmacs': encoder['gmacs'],
        'parameters': training['parameters'],
        'all_parameters': sum(p.numel() for p in model.parameters()),
        'buffers': sum(b.numel() for b in model.buffers()),
        'gmacs': training['gmacs'],
        'activation_bytes': saved.peak,
    }


def tree(model: nn.Module, clips: dict[str, Tensor], source: str, depth: int) -> str:
    """Parameters and work by module, down to ``depth`` levels."""
    features = gmacs_by_module(model, clips, source)
    step = gmacs_by_module(model, clips, training=True)
    rows = []
    for name, module in model.named_modules():
        level, parameters = name.count('.') + bool(name), sum(p.numel() for p in module.parameters())
        if level <= depth and (parameters or name in step):
            label = '  ' * level + (name.rpartition('.')[2] or type(module).__name__)
            rows.append((label, f'{parameters:,}', _gmacs(features, name), _gmacs(step, name)))
    headings = ('', 'parameters', 'GMACs, features', 'GMACs, training step')
    align = ('left', 'right', 'right', 'right')
    return tabulate(rows, headings, disable_numparse=True, colalign=align, preserve_whitespace=True)


def _gmacs(counted: Mapping[str, float], name: str) -> str:
    return f'{counted[name]:.4f}' if name in counted else ''


def summary(cost: Mapping[str, Any], batch: int) -> str:
    """The figures of one config, one per line."""
    rows = [
        ('encoder, parameters', f'{cost["encoder_parameters"]:,}'),
        ('encoder, GMACs per clip', f'{cost["encoder_gmacs"]:.3f}'),
        ('training, trainable parameters', f'{cost["parameters"]:,}'),
        ('training, parameters with the key encoder', f'{cost["all_parameters"]:,}'),
        ('training, values in buffers (queue, BN)', f'{cost["buffers"]:,}'),
        ('training step, GMACs per clip', f'{cost["gmacs"]:.3f}'),
        ('training step, activations per clip, MB', f'{cost["activation_bytes"] / batch / 1e6:.1f}'),
        (f'training step, activations of {batch} clips, MB', f'{cost["activation_bytes"] / 1e6:.1f}'),
    ]
    return tabulate(rows, tablefmt='plain', disable_numparse=True, colalign=('left', 'right'))


def markdown(costs_of: Mapping[str, Mapping[str, Any]], batch: int) -> str:
    """A row per config."""
    rows = [
        (
            name,
            shape_of(cost),
            f'{cost["encoder_parameters"] / 1e6:.2f}',
            f'{cost["encoder_gmacs"]:.2f}',
            f'{cost["parameters"] / 1e6:.2f}',
            f'{cost["gmacs"]:.2f}',
            f'{cost["activation_bytes"] / batch / 1e6:.1f}',
        )
        for name, cost in costs_of.items()
    ]
    headings = (
        *('config', 'clip (channels, frames, joints, persons)', 'encoder, M parameters', 'encoder, GMACs'),
        *('training, M parameters', 'training step, GMACs', 'training step, MB of activations'),
    )
    return tabulate(rows, headings, 'github', disable_numparse=True, colalign=('left', 'left', *['right'] * 5))


def shape_of(cost: Mapping[str, Any]) -> str:
    return ' x '.join(map(str, cost['shape']))
