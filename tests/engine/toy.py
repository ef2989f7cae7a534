"""A data set and a network small enough to train in seconds, under the configs that users run."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from mmengine.config import Config

from skeattn import commands
from skeattn.datasets import PackedWriter
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config
from skeattn.skeletons import get_layout
from tests.conftest import ROOT

CLIPS, TEST_CLIPS, CLASSES = 26, 10, 3

CONFIG = """
_base_ = [
    '{root}/configs/_base_/default_runtime.py',
    '{root}/configs/_base_/schedules/sgd_300e.py',
    '{root}/configs/_base_/models/{model}.py',
]
layout = 'ntu25'
batch_size = 8
dataset = dict(
    type='SkeletonDataset',
    data='{data}',
    split='xsub',
    pipeline=dict(
        centre=dict(type='Centre', joint='root', reference='frame'),
        resample=dict(type='Resample', num_frames=16),
        pack=dict(type='PackClip', num_persons=1),
    ),
)
model = dict(backbone=dict(base_channels=2, out_channels=8), queue=dict(size=40){views})
train_cfg = dict(max_epochs=3)
optim_wrapper = dict(optimizer=dict(lr=0.01))
evaluation = dict(interval=2, evaluators=dict(knn=dict(k=(1, 5)), linear=None))
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep=3, save_best='knn/top1_k1'))
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
"""


# 16 frames are 4 units, too few for the paper's 4 to 7.
SHORT_MIX = ', data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(units=(1, 2)))))'


def write_set(folder: Path, layout: str = 'ntu25', clips: int = CLIPS, test_clips: int = TEST_CLIPS) -> Path:
    """A packed set of smooth random motions; the test clips come first, so that order is not the training order."""
    V = get_layout(layout).num_joints
    rng = np.random.default_rng(3)
    splits = {'xsub': {'field': 'subject', 'train': [1, 2, 3]}}
    with PackedWriter(folder, 'toy', layout, [f'class{i}' for i in range(CLASSES)], splits) as writer:
        for i in range(test_clips + clips):
            frames = int(rng.integers(18, 30))
            pose = rng.normal(size=(1, 1, V, 3)) * 0.3 + [0, 1, 3]
            motion = rng.normal(size=(1, frames, V, 3)).cumsum(axis=1) * 0.02 * (1 + i % CLASSES)
            subject = 4 + i % 2 if i < test_clips else 1 + i % 3
            writer.add(f'clip{i:03d}', (pose + motion).astype(np.float32), label=i % CLASSES, subject=subject)
    return folder


def write_config(folder: Path, model: str = 'skeattnclr', lines: str = '', data: Path | None = None) -> Path:
    """A config file over a packed set beside it (written when none is given)."""
    data = data or folder / 'set'
    if not data.exists():
        write_set(data)
    path = folder / 'toy.py'
    views = SHORT_MIX if model == 'skeattnclr' else ''
    path.write_text(CONFIG.format(root=ROOT, data=data, model=model, views=views) + lines)
    return path


def toy_config(
    folder: Path, model: str = 'skeattnclr', data: Path | None = None, lines: str = '', **options: Any
) -> Config:
    """The config read, with overrides by dotted key (``__`` for a dot), its work_dir in ``folder``."""
    cfg = read_config(write_config(folder, model, lines, data))
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    cfg.work_dir = options.get('work_dir') or str(folder / 'run')
    return cfg


def toy_runner(folder: Path, **options: Any) -> SkeAttnRunner:
    """A Runner over :func:`toy_config`."""
    return SkeAttnRunner.from_cfg(toy_config(folder, **options))


def call(name: str, *arguments: object) -> int | None:
    """Run a command in this process; its errors are raised."""
    command = commands.load(name)
    return command.main(command.parser().parse_args([*map(str, arguments)]))


def tool(name: str) -> ModuleType:
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(f'tools_{name}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
