"""A full disk: one line says so, and nothing that was there is lost. A limit on the size of files stands in for it."""

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from skeattn.checkpoint import read_checkpoint, write_checkpoint
from skeattn.engine.hooks.checkpoint import SafeCheckpointHook
from skeattn.errors import StorageError
from skeattn.files import write_json, write_text
from tests.conftest import ROOT
from tests.engine.toy import toy_runner, write_config

pytestmark = pytest.mark.slow

LIMIT = 300_000


@contextlib.contextmanager
def limited(size: int = LIMIT) -> Iterator[None]:
    """No file can become larger than this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    path, weights = tmp_path / 'a.pth', {'w': torch.arange(3.0)}
    write_checkpoint(path, {'meta': {}, 'state_dict': weights})
    with limited(), pytest.raises(StorageError, match=r'a\.pth could not be written: File too large; .* GB are free'):
        write_checkpoint(path, {'meta': {}, 'state_dict': {'w': torch.zeros(100_000)}})
    torch.testing.assert_close(read_checkpoint(path)['state_dict'], weights)
    assert os.listdir(tmp_path) == ['a.pth']


def test_text_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    write_text(tmp_path / 'a.json', 'old')
    with limited(), pytest.raises(StorageError):
        write_json(tmp_path / 'a.json', {'text': 'x' * 400_000})
    assert (tmp_path / 'a.json').read_text() == 'old'


def test_other_errors_of_writing_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / 'folder').mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / 'folder', 'text')


def test_training_goes_on_without_saving_where_it_was_asked_to(tmp_path: Path) -> None:
    options = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}
    runner = toy_runner(tmp_path, default_hooks__checkpoint__on_full='continue', **options)
    with limited():
        runner.train()
    assert runner.epoch == 3 and not list((tmp_path / 'run').glob('*.pth'))
    (log,) = (tmp_path / 'run').glob('2*/*.log')
    assert log.read_text().count('the training goes on, and the next checkpoint is tried again') == 3


def test_the_best_weights_wait_for_space_as_well(tmp_path: Path, monkeypatch) -> None:
    """Kind: a promise that one of several writers keeps. Once there is space, the next better evaluation is kept."""
    full = [True]

    def write(path, checkpoint):
        if full[0]:
            raise StorageError(f'{path} could not be written: No space left on device')
        write_checkpoint(path, checkpoint)

    monkeypatch.setattr('skeattn.engine.resumable.write_checkpoint', write)
    runner = toy_runner(tmp_path, default_hooks__checkpoint__on_full='continue', train_cfg__max_epochs=1)
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook))
    assert hook.metrics and hook.best == {} and not list((tmp_path / 'run').glob('*.pth'))
    full[0] = False
    hook.after_val_epoch(runner, dict.fromkeys(hook.metrics, 50.0))
    assert hook.best[hook.metrics[0]]['score'] == 50 and (tmp_path / 'run/best.json').is_file()
    hook.on_full, full[0] = 'stop', True
    with pytest.raises(StorageError, match='No space left'):
        hook.after_val_epoch(runner, dict.fromkeys(hook.metrics, 60.0))


def test_an_evaluation_that_cannot_be_noted_ends_no_training(tmp_path: Path, monkeypatch) -> None:
    def write(path, text):
        raise StorageError(f'{path} could not be written: No space left on device')

    monkeypatch.setattr('skeattn.engine.loops.write_text', write)
    runner = toy_runner(tmp_path, default_hooks__checkpoint__on_full='continue', train_cfg__max_epochs=1)
    runner.train()
    assert runner.epoch == 1
    (log,) = (tmp_path / 'run').glob('2*/*.log')
    assert 'No space left on device; the training goes on' in log.read_text()


def test_train_py_ends_with_one_line(tmp_path: Path) -> None:
    config = write_config(tmp_path, lines="default_hooks['checkpoint']['save_best'] = None\nevaluation = None\n")
    program = (
        f'import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT})); '
        f'sys.argv = {["train.py", str(config), "--work-dir", str(tmp_path / "a")]!r}; '
        f'runpy.run_path({str(ROOT / "tools/train.py")!r}, run_name="__main__")'
    )
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    ended = subprocess.run([sys.executable, '-c', program], env=environment, capture_output=True, text=True)
    assert ended.returncode == 2, ended.stderr
    assert 'Traceback' not in ended.stderr
    assert f'error: {tmp_path}/a/epoch_1.pth could not be written: File too large' in ended.stderr.splitlines()[-1]
