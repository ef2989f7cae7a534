"""A short training, its record, and the encoder published from it."""

from pathlib import Path

import pytest

from skeattn.engine import SkeAttnRunner
from skeattn.engine.build import config_of
from skeattn.protocols.evaluate import Evaluation
from skeattn.zoo import publish
from skeattn.zoo.publish import Publication
from tests.engine.toy import toy_config, write_set

SHORT = {'train_cfg.max_epochs': 1, 'evaluation': None, 'default_hooks.checkpoint.save_best': None}


@pytest.fixture(scope='session')
def trained(tmp_path_factory) -> Path:
    """A checkpoint with its record beside it; the set is ``data/demo`` two folders above."""
    folder = tmp_path_factory.mktemp('trained')
    data = write_set(folder / 'data/demo')
    cfg = toy_config(folder, data=data)
    cfg.merge_from_dict({**SHORT, 'work_dir': str(folder / 'work_dirs/toy')})
    SkeAttnRunner.from_cfg(cfg).train()
    path = folder / 'work_dirs/toy/epoch_1.pth'
    evaluation = Evaluation(config_of(path), path, ['probe', 'knn'], device='cpu', readouts=['joints'])
    evaluation.run(path.parent / 'result.json')
    return path


@pytest.fixture(scope='session')
def zoo(trained: Path) -> Path:
    """The folder of published encoders, which holds one, ``toy``."""
    publish(trained, trained.parents[2] / 'zoo', name='toy', device='cpu')
    return trained.parents[2] / 'zoo'


@pytest.fixture(scope='session')
def published(zoo: Path) -> Path:
    """The file of ``toy``."""
    (file,) = (zoo / 'toy').glob('*.safetensors')
    return file


@pytest.fixture
def publication(trained: Path, tmp_path: Path):
    """Publish the training with other arguments."""

    def run(**arguments) -> Publication:
        return publish(trained, tmp_path / 'zoo', **{'name': 'toy', 'device': 'cpu', **arguments})

    return run
