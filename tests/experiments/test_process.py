"""Processes and their logs."""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from skeattn.errors import SkeAttnError
from skeattn.experiments.process import Job
from skeattn.experiments.training_log import TrainingState
from skeattn.files import lock, try_lock


def python(code: str) -> list[str]:
    return [sys.executable, '-c', code]


def test_progress_is_that_of_the_training_until_it_is_done(tmp_path: Path) -> None:
    state = TrainingState(2, 9.65419, timedelta(minutes=4, seconds=26))
    training = SimpleNamespace(state=lambda: None)
    job = Job('X', python('input()'), tmp_path / 'log', training=training)
    try:
        assert job.progress() == ('X starting', None)
        training.state = lambda: state
        assert job.progress() == ('X epoch 2, loss 9.6542, 0:04:26 left', state.left)
    finally:
        job.stop()
    assert job.progress() == ('X done', timedelta())


def test_a_log_is_continued_and_read_from_where_the_job_began(tmp_path: Path) -> None:
    for text in ('one', 'two'):
        job = Job(text, python(f'import sys; print({text!r}, file=sys.stderr)'), tmp_path / 'deep' / 'log')
        job.process.wait()
        job.check()
        assert job.tail() == text
    assert job.log.read_text() == 'one\ntwo\n'


def test_a_failed_job_shows_the_end_of_its_log(tmp_path: Path) -> None:
    job = Job('X', python('print(*range(99), sep="\\n"); raise SystemExit(4)'), tmp_path / 'log')
    job.process.wait()
    shown = '\n'.join(map(str, range(84, 99)))
    with pytest.raises(SkeAttnError, match=rf'^training X ended with status 4; {job.log}:\n{shown}$'):
        job.check()


def test_stop_ends_also_a_job_that_does_not_listen(tmp_path: Path) -> None:
    code = (
        'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("deaf", flush=True); time.sleep(600)'
    )
    job = Job('X', python(code), tmp_path / 'log')
    while 'deaf' not in job.text():
        os.sched_yield()
    job.stop(timeout_s=0.1)
    assert job.process.returncode == -signal.SIGKILL
    job.stop()  # a second time is no error


def test_a_job_keeps_the_lock_that_it_was_given(tmp_path: Path) -> None:
    """Where a child outlives its parent, nobody else may touch the folder."""
    with lock(tmp_path / 'lock') as held:
        job = Job('X', python('import time; time.sleep(600)'), tmp_path / 'log', keep=held)
    assert try_lock(tmp_path / 'lock') is None
    job.stop()
    assert try_lock(tmp_path / 'lock') is not None
