"""A reader's folder: a set in data/demo and tiny trainings in work_dirs; encoders and clips for the tests."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from skeattn.apis import TrainedEncoder, load_encoder
from skeattn.datasets import PackedSet
from skeattn.engine import SkeAttnRunner
from tests.engine.targets import supervised
from tests.engine.toy import toy_config, write_set

SHORT = {'train_cfg.max_epochs': 1, 'evaluation': None, 'default_hooks.checkpoint.save_best': None}
SELF_SUPERVISED, SUPERVISED = 'work_dirs/skeattnclr/stgcn_demo', 'work_dirs/supervised/stgcn_demo'


@pytest.fixture(scope='session')
def reader(tmp_path_factory) -> Path:
    """The folder."""
    folder = tmp_path_factory.mktemp('reader')
    data = write_set(folder / 'data/demo')
    for name, build, more in (
        (SELF_SUPERVISED, partial(toy_config, data=data), {}),
        (SUPERVISED, partial(supervised, classes=3), {f'default_hooks.{hook}': None for hook in ('momentum', 'queue')}),
    ):
        own = folder / 'configs' / Path(name).parent.name
        own.mkdir(parents=True)
        cfg = build(own)
        cfg.merge_from_dict({**SHORT, **more, 'dataset.data': str(data), 'work_dir': str(folder / name)})
        SkeAttnRunner.from_cfg(cfg).train()
    return folder


@pytest.fixture(scope='session')
def encoder(reader) -> TrainedEncoder:
    """SkeAttnCLR."""
    return load_encoder(reader / SELF_SUPERVISED, device='cpu')


@pytest.fixture(scope='session')
def recognizer(reader) -> TrainedEncoder:
    """Supervised."""
    return load_encoder(reader / SUPERVISED, device='cpu')


@pytest.fixture(scope='session')
def packed(reader) -> PackedSet:
    """The set."""
    return PackedSet.open(reader / 'data/demo')


@pytest.fixture(scope='session')
def clips() -> list[np.ndarray]:
    """Eight clips ``(T, 25, 3)`` of different lengths; the motion of every second one is larger."""
    rng = np.random.default_rng(0)
    poses = [rng.normal(size=(1, 25, 3)) * 0.3 + [0, 1, 3] for _ in range(8)]
    return [
        (pose + rng.normal(size=(18 + i, 25, 3)).cumsum(axis=0) * (0.1 if i % 2 else 0.005)).astype(np.float32)
        for i, pose in enumerate(poses)
    ]


@pytest.fixture(scope='session')
def labels() -> list[str]:
    """Of the clips."""
    return ['still', 'wild'] * 4
