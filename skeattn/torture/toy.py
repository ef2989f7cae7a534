"""A data set and trainings that take a second, under the shipped configs."""

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

import skeattn
from skeattn.datasets import PackedWriter
from skeattn.engine.config import read_config
from skeattn.errors import ConfigError
from skeattn.skeletons import get_layout

CONFIGS = Path(skeattn.__file__).resolve().parent.parent / 'configs'
CLIPS, TEST_CLIPS, CLASSES, EPOCHS = 26, 10, 3, 2
"""With a batch of 8, an epoch has three iterations."""

_CONFIG = """
_base_ = {bases}
layout = 'ntu25'
batch_size = 8
dataset = dict(
    type='SkeletonDataset',
    data={data!r},
    split='xsub',
    pipeline=dict(
        centre=dict(type='Centre', joint='root', reference='frame'),
        resample=dict(type='Resample', num_frames=16),
        pack=dict(type='PackClip', num_persons=1),
    ),
)
model = dict(
    backbone=dict(base_channels=2, out_channels=8),
    queue=dict(size=40),
    data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(units=(1, 2))))),
)
train_cfg = dict(max_epochs={epochs})
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR')
evaluation = dict(interval=1, evaluators=dict(knn=dict(k=(1, 5)), linear=None))
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(max_keep=3, iterations=2, save_best='knn/top1_k1'),
)
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
"""


def write_set(folder: Path) -> Path:
    """A packed set of smooth random motions of ``ntu25``."""
    rng, V = np.random.default_rng(3), get_layout('ntu25').num_joints
    splits = {'xsub': {'field': 'subject', 'train': [1, 2, 3]}}
    with PackedWriter(folder, 'toy', 'ntu25', [f'class{i}' for i in range(CLASSES)], splits) as writer:
        for i in range(TEST_CLIPS + CLIPS):
            frames = int(rng.integers(18, 30))
            pose = rng.normal(size=(1, 1, V, 3)) * 0.3 + [0, 1, 3]
            motion = rng.normal(size=(1, frames, V, 3)).cumsum(axis=1) * 0.02 * (1 + i % CLASSES)
            subject = 4 + i % 2 if i < TEST_CLIPS else 1 + i % 3
            writer.add(f'clip{i:03d}', (pose + motion).astype(np.float32), label=i % CLASSES, subject=subject)
    return folder


def write_config(path: Path, data: Path, epochs: int = EPOCHS) -> Path:
    """A config file over the set.

    Raises:
        ConfigError: the toolbox was installed without its configs.
    """
    if not CONFIGS.is_dir():
        raise ConfigError(f'no configs beside the package ({CONFIGS.name}/); run it from a checkout')
    bases = [str(CONFIGS / '_base_' / f'{name}.py') for name in ('default_runtime', 'schedules/sgd_300e')]
    bases.append(str(CONFIGS / '_base_/models/skeattnclr.py'))
    path.write_text(_CONFIG.format(bases=bases, data=str(data), epochs=epochs))
    return path


def read(path: Path, work_dir: Path, **options: Any) -> Config:
    """The config with overrides by dotted key, ``__`` for a dot."""
    cfg = read_config(path, {key.replace('__', '.'): value for key, value in options.items()})
    cfg.work_dir = str(work_dir)
    return cfg
