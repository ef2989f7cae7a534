"""A signal ends a training at the end of its iteration; the resumed one ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skeattn.errors import Interrupted
from tests.conftest import ROOT
from tests.engine.runs import assert_equal_state, curves, logged
from tests.engine.toy import toy_config, toy_runner
from tests.faults.signal_hook import SignalHook  # noqa: F401 (registered)

pytestmark = pytest.mark.slow

LINES = "custom_hooks = [dict(type='SignalHook', number='{}', {}={})]\n"
PLATEAU = dict(default_hooks__param_scheduler__type='LossScheduleHook')


def interrupted(folder: Path, number: str, **options) -> int:
    """A toy training that a signal ends; returns the number of the signal that it reports."""
    place, value = options.pop('at')
    with pytest.raises(Interrupted) as caught:
        toy_runner(folder, lines=LINES.format(number, place, value), **options).train()
    return caught.value.number


@pytest.fixture(autouse=True)
def heard():
    """SIGHUP as a terminal sends it, also where these tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize('number', ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'])
def test_a_signal_within_an_epoch_loses_no_iteration(tmp_path: Path, number: str) -> None:
    """The second of three iterations of the second epoch; weights, optimiser, schedules, losses are bit-equal."""
    toy_runner(tmp_path / 'whole', **PLATEAU).train()
    assert interrupted(tmp_path / 'ended', number, at=('iteration', 4), **PLATEAU) == signal.Signals[number]
    run = tmp_path / 'ended/run'
    assert (run / 'last_checkpoint').read_text() == 'epoch_1_iter_5.pth'
    meta = torch.load(run / 'epoch_1_iter_5.pth', weights_only=True)['meta']
    assert (meta['epoch'], meta['iter']) == (1, 5)
    toy_runner(tmp_path / 'ended', resume=True, **PLATEAU).train()
    resumed, whole = (torch.load(folder / 'epoch_3.pth', weights_only=True) for folder in (run, tmp_path / 'whole/run'))
    assert_equal_state(resumed, whole)
    assert logged(run) == logged(tmp_path / 'whole/run')
    assert resumed['message_hub']['runtime_info']['curves'] == whole['message_hub']['runtime_info']['curves']


def test_a_signal_in_an_incomplete_optimiser_step_keeps_its_gradients_and_keys(tmp_path: Path) -> None:
    options = dict(optim_wrapper__accumulative_counts=2)
    toy_runner(tmp_path / 'whole', **options).train()
    interrupted(tmp_path / 'ended', 'SIGTERM', at=('iteration', 4), **options)
    toy_runner(tmp_path / 'ended', resume=True, **options).train()
    resumed, whole = (torch.load(tmp_path / name / 'run/epoch_3.pth', weights_only=True) for name in ('ended', 'whole'))
    assert_equal_state(resumed, whole)


def test_a_signal_in_the_last_iteration_of_an_epoch(tmp_path: Path) -> None:
    """No iteration of the epoch is left, but its end is: schedules, evaluation and checkpoint."""
    toy_runner(tmp_path / 'whole').train()
    interrupted(tmp_path / 'ended', 'SIGTERM', at=('iteration', 5))
    toy_runner(tmp_path / 'ended', resume=True).train()
    resumed, whole = (torch.load(tmp_path / name / 'run/epoch_3.pth', weights_only=True) for name in ('ended', 'whole'))
    assert_equal_state(resumed, whole)
    assert evaluations(tmp_path / 'ended/run') == evaluations(tmp_path / 'whole/run')


def evaluations(run: Path) -> list[dict]:
    return [line for line in curves(run) if 'knn/top1_k1' in line]


def test_an_evaluation_that_was_not_finished_is_made_up_for(tmp_path: Path) -> None:
    """A signal in the evaluation ends it at once; the resumed run owes it, its curve and its best checkpoint."""
    toy_runner(tmp_path / 'whole').train()
    interrupted(tmp_path / 'ended', 'SIGTERM', at=('epoch', 2))
    run, whole = tmp_path / 'ended/run', tmp_path / 'whole/run'
    assert (run / 'last_checkpoint').read_text() == 'epoch_2.pth'
    assert evaluations(run) == [] and not (run / 'best.json').exists()
    toy_runner(tmp_path / 'ended', resume=True).train()
    assert len(evaluations(whole)) == 2
    assert evaluations(run) == evaluations(whole)
    assert json.loads((run / 'best.json').read_text()) == json.loads((whole / 'best.json').read_text())


def test_the_evaluation_after_the_last_epoch_is_made_up_for(tmp_path: Path) -> None:
    """Nothing is left to train, but the evaluation is; once it is done, it is not repeated."""
    toy_runner(tmp_path / 'whole').train()
    interrupted(tmp_path / 'ended', 'SIGINT', at=('epoch', 3))
    for _ in range(2):
        toy_runner(tmp_path / 'ended', resume=True).train()
        assert evaluations(tmp_path / 'ended/run') == evaluations(tmp_path / 'whole/run')


def test_checkpoints_within_an_epoch_replace_each_other(tmp_path: Path) -> None:
    options = dict(default_hooks__checkpoint__iterations=2, default_hooks__checkpoint__max_keep=2)
    toy_runner(tmp_path, **options).train()  # three epochs of three iterations
    names = {path.name for path in (tmp_path / 'run').glob('epoch_*.pth')}
    assert names == {'epoch_2_iter_8.pth', 'epoch_3.pth'}


def test_train_py_ends_with_the_code_of_the_signal_and_says_how_to_continue(tmp_path: Path) -> None:
    toy_config(tmp_path, lines=LINES.format('SIGTERM', 'iteration', 4))
    lines = "custom_imports = dict(imports=['tests.faults.signal_hook'])\n"
    (tmp_path / 'toy.py').write_text((tmp_path / 'toy.py').read_text() + lines)
    script, run = ROOT / 'tools/train.py', tmp_path / 'a'
    command = [sys.executable, str(script), str(tmp_path / 'toy.py'), '--work-dir', str(run)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    end = f'ended by SIGTERM; the same command with --resume continues from {run}/epoch_1_iter_5.pth'
    assert ended.stderr.splitlines()[-1] == end
    assert 'SIGTERM: a checkpoint follows, then the training ends; again to end at once' in ended.stderr


def test_ignored_signals_stay_ignored_and_handlers_return(tmp_path: Path) -> None:
    """As under nohup; after the training everything is as before."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    toy_runner(tmp_path, lines=LINES.format('SIGHUP', 'iteration', 4)).train()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert (tmp_path / 'run/last_checkpoint').read_text() == 'epoch_3.pth'
