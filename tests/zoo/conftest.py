"""A short training with its evaluations and a classifier, and the encoder published from it."""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from skeattn.apis import load_encoder
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config, resolve_config
from skeattn.protocols.evaluate import Evaluation
from skeattn.zoo.publish import publish
from tests.engine.toy import toy_config

PROTOCOLS = ('knn', 'retrieval', 'linear')


class Work(NamedTuple):
    """What a trainer has: the set, the work_dir, its checkpoint, record and classifier."""

    data: Path
    run: Path
    checkpoint: Path
    record: Path
    classifier: Path


@pytest.fixture(scope='session')
def work(tmp_path_factory) -> Work:
    folder = tmp_path_factory.mktemp('work')
    cfg = toy_config(folder, max_iters=1, evaluation=None)
    SkeAttnRunner.from_cfg(cfg).train()
    run = folder / 'run'
    checkpoint = run / 'epoch_1.pth'
    cfg = resolve_config(read_config(folder / 'toy.py'))
    sources, readouts = ['backbone', 'raw'], ['mean', 'joints']
    evaluation = Evaluation(cfg, checkpoint, PROTOCOLS, sources, 3, device='cpu', readouts=readouts)
    evaluation.run(run / 'features.json')
    encoder = load_encoder(checkpoint, 'cpu')
    encoder.fit_few_shot(folder / 'set').save(folder / 'mine.npz')
    return Work(folder / 'set', run, checkpoint, run / 'features.json', folder / 'mine.npz')


@pytest.fixture(scope='session')
def published(work, tmp_path_factory) -> Path:
    """The folder ``zoo/toy``; not to be changed."""
    return publish(work.run, tmp_path_factory.mktemp('published') / 'zoo', 'toy', classifier=work.classifier)


@pytest.fixture
def copied(published, tmp_path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(published, tmp_path / 'zoo/toy'))


@pytest.fixture(scope='session')
def clips() -> np.ndarray:
    """Three clips ``(3, 1, 20, 25, 3)``."""
    return np.random.default_rng(0).normal(size=(3, 1, 20, 25, 3)).astype(np.float32)
