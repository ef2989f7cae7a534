"""Identity, folder and commands of a run."""

import dataclasses
import json
from pathlib import Path

import pytest

from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.evaluation.record import config_facts
from skeattn.experiments import Run
from tests.engine.toy import write_config, write_set

OPTIONS = {
    'model.backbone': {'base_channels': 4, 'dropout': 0.25},
    'dataset.pipeline.centre': None,
    'evaluation.evaluators.knn.k': (1, 3),
    'stream': ['joint', 'bone'],
    'optim_wrapper.optimizer.lr': 1e-5,
}


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> str:
    return str(write_config(tmp_path_factory.mktemp('run'), 'skeletonclr'))


def test_identity_is_what_the_numbers_follow_from(config: str) -> None:
    run = Run('toy', config)
    others = [
        Run('toy', config, seed=1),
        Run('toy', config, options={'stream': 'bone'}),
        Run('toy', config, trained=False),
        Run('toy', config, sources=('projector',)),
    ]
    assert len({run.digest, *(other.digest for other in others)}) == 5
    assert Run('another name', config, options={'stream': 'joint'}).digest == run.digest


def test_another_data_set_is_another_run(tmp_path: Path) -> None:
    config = str(write_config(tmp_path, 'skeletonclr', data=write_set(tmp_path / 'set')))
    before = Run('toy', config).digest
    manifest = tmp_path / 'set' / 'manifest.json'
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), 'dataset': 'other'}))
    assert Run('toy', config).digest != before


def test_folder_names_run_and_seed(config: str) -> None:
    run = Run('own classifier, 3 streams', config, seed=2)
    assert run.folder(Path('root')) == Path('root') / f'own_classifier_3_streams-seed2-{run.digest[:8]}'


def test_commands_read_a_copy_that_means_the_same_config(config: str, tmp_path: Path) -> None:
    """Values that no command line could express, too."""
    run = Run('toy', config, seed=3, options=OPTIONS)
    (_, train), (_, judge) = run.steps(tmp_path)
    assert train[2] == judge[2] and Path(train[2]).is_relative_to(run.folder(tmp_path))
    copied = resolve_config(read_config(train[2]))
    assert config_facts(copied) == config_facts(run.cfg)
    assert copied.randomness.seed == 3 and copied.model.data_preprocessor.stream == ['joint', 'bone']
    assert json.loads(judge[judge.index('--facts') + 1])['config'] == config


def test_a_config_edited_after_planning_does_not_reach_the_run(tmp_path: Path) -> None:
    path = write_config(tmp_path, 'skeletonclr')
    run = Run('toy', str(path))
    folder = run.folder(tmp_path)
    path.write_text(path.read_text() + 'batch_size = 4\n')
    (_, train), _ = run.steps(tmp_path)
    assert read_config(train[2]).batch_size == 8
    assert Run('toy', str(path)).folder(tmp_path) != folder


def test_an_untrained_run_is_only_judged(config: str, tmp_path: Path) -> None:
    run = Run('untrained', config, trained=False, sources=('backbone', 'projector'))
    ((step, judge),) = run.steps(tmp_path)
    assert step == 'judged' and judge[3] == 'untrained'
    assert judge[-2:] == ['--source=backbone', '--source=projector']


def test_a_wrong_config_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r'no config file nowhere\.py'):
        Run('toy', 'nowhere.py').folder(Path())
    assert dataclasses.asdict(Run('toy', 'nowhere.py'))['seed'] == 0  # naming it is no error
