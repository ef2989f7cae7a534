"""Identity, folder and commands of a run."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from skeattn.datasets.packed import CHECKSUM
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.experiments.run import Run
from skeattn.results.provenance import config_facts
from skeattn.results.record import Record, write
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


def test_identity_is_what_the_weights_follow_from(config: str) -> None:
    run = Run('toy', config)
    others = [
        Run('toy', config, seed=1),
        Run('toy', config, options={'stream': 'bone'}),
        Run('toy', config, trained=False),
    ]
    assert len({run.digest, *(other.digest for other in others)}) == 4
    assert Run('another name', config, options={'stream': 'joint'}).digest == run.digest


def test_a_run_keeps_the_folder_that_it_had_when_the_split_was_called_protocol(config: str, monkeypatch) -> None:
    monkeypatch.setattr('skeattn.experiments.run._digest', lambda *facts: facts)
    values, *_ = Run('toy', config).digest
    assert list(values['dataset']) == ['type', 'data', 'protocol', 'pipeline', 'layout']
    assert list(values['train_dataloader']['dataset']) == ['type', 'data', 'protocol', 'pipeline', 'layout', 'split']
    assert values['train_dataloader']['dataset']['split'] == 'train'


@pytest.mark.slow
def test_runs_that_are_only_evaluated_differently_share_their_training(config: str) -> None:
    run, root = Run('toy', config), Path('root')
    others = [
        Run('toy', config, sources=('projector',)),
        Run('toy', config, protocols=('linear',)),
        Run('toy', config, options={'protocols.linear.epochs': 3}),
        Run('toy', config, options={'evaluation.evaluators.knn.k': (1, 3)}),
        Run('toy', config, options={'evaluation.source': 'projector'}),
    ]
    assert {other.folder(root) for other in others} == {run.folder(root)}
    assert len({run.path(root), *(other.path(root) for other in others)}) == 6
    assert Run('toy', config, options={'evaluation.interval': 3}).path(root) == run.path(root)


def test_another_data_set_is_another_run(tmp_path: Path) -> None:
    config = str(write_config(tmp_path, 'skeletonclr', data=write_set(tmp_path / 'set')))
    before = Run('toy', config).digest
    manifest = tmp_path / 'set' / 'manifest.json'
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), 'dataset': 'other'}))
    manifest.with_name(CHECKSUM).unlink()
    assert Run('toy', config).digest != before


def test_folder_and_record_say_what_they_are_of(config: str) -> None:
    run, untrained = Run('own classifier', config, seed=2), Run('any', config, trained=False)
    assert run.folder(Path('root')) == Path('root') / f'SkeletonCLR-seed2-{run.digest[:8]}'
    assert untrained.folder(Path('root')) == Path('root') / f'untrained_SkeletonCLR-seed0-{untrained.digest[:8]}'
    assert re.fullmatch(r'knn_linear_probe-[0-9a-f]{8}\.json', run.path(Path('root')).name)


def test_a_record_has_the_name_of_the_run_that_asks_for_it(config: str, tmp_path: Path) -> None:
    run, other = Run('toy', config), Run('Baseline*', config)
    assert run.record(tmp_path) is None
    written = Record(name='toy', data='set', split='xsub', stream='joint', seed=0, sources={})
    write(run.path(tmp_path), written)
    assert run.record(tmp_path) == written
    assert other.record(tmp_path) == dataclasses.replace(written, name='Baseline*')


def test_commands_read_copies_that_mean_the_same_config(config: str, tmp_path: Path) -> None:
    """Values that no command line could express, too."""
    run = Run('toy', config, seed=3, options=OPTIONS, protocols=('knn', 'linear'))
    (_, train), (_, command) = run.steps(tmp_path)
    for path in (train[2], command[2]):
        assert Path(path).is_relative_to(run.folder(tmp_path))
        copied = resolve_config(read_config(path))
        assert config_facts(copied) == config_facts(run.cfg)
        assert copied.randomness.seed == 3 and copied.model.data_preprocessor.stream == ['joint', 'bone']
    assert json.loads(command[command.index('--facts') + 1])['config'] == config
    assert command[4:9] == ['--protocol', 'knn', 'linear', '--seed', '3']
    assert command[command.index('--out') + 1] == str(run.path(tmp_path))


def test_what_was_trained_is_not_trained_again(config: str, tmp_path: Path) -> None:
    """Another protocol finds the weights, but its own config."""
    run = Run('toy', config)
    other = Run('toy', config, options={'protocols.linear.epochs': 3})
    assert [step for step, _ in run.steps(tmp_path)] == ['trained', 'evaluated']
    ((step, command),) = other.steps(tmp_path)
    assert step == 'evaluated' and read_config(command[2]).protocols.linear.epochs == 3
    assert next(Run('toy', config, seed=1).steps(tmp_path))[0] == 'trained'
    interrupted = Run('toy', config, seed=2)
    next(interrupted.steps(tmp_path))  # its end was never seen
    assert next(interrupted.steps(tmp_path))[0] == 'trained'


def test_a_config_edited_after_planning_does_not_reach_the_run(tmp_path: Path) -> None:
    path = write_config(tmp_path, 'skeletonclr')
    run = Run('toy', str(path))
    folder = run.folder(tmp_path)
    path.write_text(path.read_text() + 'batch_size = 4\n')
    (_, train), _ = run.steps(tmp_path)
    assert read_config(train[2]).batch_size == 8
    assert Run('toy', str(path)).folder(tmp_path) != folder


def test_an_untrained_run_is_only_evaluated(config: str, tmp_path: Path) -> None:
    run = Run('untrained', config, trained=False, sources=('backbone', 'projector'))
    ((step, command),) = run.steps(tmp_path)
    assert step == 'evaluated' and command[3] == 'untrained'
    assert command[-2:] == ['--source=backbone', '--source=projector']


def test_a_wrong_config_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r'no config file nowhere\.py'):
        Run('toy', 'nowhere.py').folder(Path())
    assert dataclasses.asdict(Run('toy', 'nowhere.py'))['seed'] == 0  # naming it is no error


def test_a_run_describes_itself_with_its_stream(config: str) -> None:
    """Of the kind: what a person reads. The folder of a run is a digest."""
    run = Run('toy', config, seed=3, options={'stream': ['joint', 'bone'], 'work_dir': 'my runs/a'})
    text = run.description
    assert text.startswith('toy: stream joint, bone, ') and '\n' not in text
    assert f"xsub, seed 3, {config} stream=['joint', 'bone'] work_dir=my runs/a" in text


@pytest.mark.slow
def test_an_evaluation_is_known_by_every_setting_that_changes_its_numbers(config: str) -> None:
    changes = [
        {},
        {'evaluation.autocast': True},
        {'evaluation.autocast': False},
        {'evaluation.readout': 'joints'},
        {'evaluation.source': 'projector'},
        {'protocols.knn.k': [3]},
    ]
    runs = [Run('toy', config, options=options) for options in changes]
    assert len({run.evaluation_id for run in runs}) == len(changes) and len({run.digest for run in runs}) == 1
    assert Run('toy', config, options={'evaluation.interval': 7}).evaluation_id == runs[0].evaluation_id


def test_switches_that_do_not_determine_the_weights_leave_the_run(config: str, monkeypatch) -> None:
    monkeypatch.setattr('skeattn.engine.speed.computes_in_bfloat16', lambda: False)
    run = Run('toy', config)
    same = [{'amp': 'auto'}, {'amp': False}, {'env_cfg.cudnn_benchmark': True}]
    assert {Run('toy', config, options=options).digest for options in same} == {run.digest}
    for options in ({'amp': True}, {'env_cfg.matmul_precision': 'high'}):
        assert Run('toy', config, options=options).digest != run.digest
