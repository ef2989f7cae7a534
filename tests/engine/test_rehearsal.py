"""A dry run finds what a training would need, and writes nothing."""

from dataclasses import replace

import pytest

from skeattn.engine.rehearsal import STEPS, Evaluation, rehearse
from skeattn.errors import ConfigError
from tests.engine.toy import CLASSES, CLIPS, TEST_CLIPS, toy_config, toy_runner, write_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('set') / 'set')


@pytest.fixture(scope='module')
def found(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp('run')
    found = rehearse(toy_config(folder, data=data, train_cfg__max_epochs=20, default_hooks__checkpoint__max_keep=3))
    assert [path.name for path in folder.iterdir()] == ['toy.py']  # no work_dir
    return found


def test_numbers_are_those_of_the_whole_training(found, data):
    assert (found.clips, found.classes, found.clip) == (CLIPS, CLASSES, (3, 16, 25, 1))
    assert found.clips_bytes == CLIPS * 3 * 16 * 25 * 4
    assert (found.epochs, found.steps, found.batch_size) == (20, 20 * (CLIPS // 8), 8)
    assert found.evaluation[:2] == (10, CLIPS + TEST_CLIPS) and found.evaluation.evaluators == ('knn',)
    assert found.step_s > 0 and found.evaluation.encode_s > 0 and found.memory_bytes > 10e6
    assert found.seconds == pytest.approx(found.steps * found.step_s + 10 * found.evaluation.encode_s)
    assert (found.method, found.checkpoints) == ('SkeAttnCLR', 3)
    assert f'{data}, split xsub: 26 training clips, 3 classes' in str(found)


def test_the_size_of_a_checkpoint_is_near_that_of_the_real_one(tmp_path, data, found):
    runner = toy_runner(tmp_path, data=data, train_cfg__max_epochs=1, evaluation=None)
    runner.cfg.default_hooks.checkpoint.save_best = None
    runner.train()
    assert found.checkpoint_bytes == pytest.approx((tmp_path / 'run/epoch_1.pth').stat().st_size, rel=0.3)


def test_unlikely_settings_are_named(tmp_path, data):
    found = rehearse(toy_config(tmp_path, data=data, model__queue__size=64))
    assert len(found.advice) == 1 and 'model.queue.size=64' in found.advice[0]
    assert str(found).splitlines()[-1].split()[:2] == ['note', 'model.queue.size=64']


def test_a_training_that_ends_early_and_one_without_evaluation(tmp_path, data):
    assert STEPS > 2
    found = rehearse(toy_config(tmp_path, data=data, max_iters=2, evaluation__evaluators__knn=None))
    assert (found.steps, found.step_s, found.seconds, found.evaluation) == (2, None, None, None)
    assert 'too few steps' in str(found)


@pytest.mark.parametrize(
    ('changes', 'epochs', 'times'),
    [
        (dict(train_cfg__max_epochs=20, train_cfg__val_begin=16), 20, 3),  # 16, 18, 20
        (dict(train_cfg__max_epochs=5), 5, 3),  # 2, 4, and the last
        (dict(train_cfg__max_epochs=20, max_iters=12), 4, 2),  # 3 steps an epoch
    ],
)
def test_evaluations_are_those_that_the_training_makes(tmp_path, data, changes, epochs, times):
    found = rehearse(toy_config(tmp_path, data=data, **changes))
    assert (found.epochs, found.evaluation.times) == (epochs, times)


def test_time_is_in_hours(found):
    """40,000 steps of a second, 10 evaluations of 30 seconds."""
    found = replace(found, step_s=1.0, steps=40_000, evaluation=Evaluation(10, 56_000, 30.0, ('knn',)))
    assert '1 s a step, 11:11:40 in all' in str(found)


def test_several_processes_share_the_batch(tmp_path, data, found):
    with pytest.raises(ConfigError, match='batch_size=8 is shared by 3 processes'):
        rehearse(toy_config(tmp_path, data=data), processes=3)
    assert '60 of 8 clips, in 20 epochs' in str(found)
    shared = rehearse(toy_config(tmp_path, data=data, train_cfg__max_epochs=20), processes=4)
    assert '60 of 8 clips, 2 in each of 4 processes, in 20 epochs' in str(shared)
    assert 'in all; memory and time of one process with the whole batch' in str(shared)


def test_a_config_that_does_not_train_is_refused(tmp_path, data):
    with pytest.raises(ConfigError, match='no train_cfg'):
        rehearse(toy_config(tmp_path, data=data, train_cfg=None, optim_wrapper=None))
