"""Many runs, several at a time; their steps are stand-ins here, and toy trainings where numbers matter."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from skeattn.apis import read_checkpoint
from skeattn.errors import ConfigError
from skeattn.experiments.execute import Pace, execute, workplaces
from skeattn.experiments.run import TRAINED, Run
from tests.conftest import ROOT
from tests.engine.toy import write_config
from tests.experiments.standins import Fake, carried_out, fakes

TIMES = {'seconds', 'seconds_per_epoch', 'finished', 'checkpoint_sha256', 'scores_sha256', 'commit', 'dirty'}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)


def start(root: Path, count: int, seconds: float) -> subprocess.Popen:
    command = [sys.executable, '-m', 'tests.experiments.standins', str(root), str(count), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def wait_until(condition) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until, 'nothing happened within two minutes'
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_a_run_waits_for_the_run_that_it_starts_from(tmp_path: Path) -> None:
    first, lines = Fake('first'), []
    second = Fake('second', start=first)
    assert execute([second, first], tmp_path, jobs=2, report=lines.append) == []
    assert [line for line in lines if 'is finished' in line] == [
        'first seed 0 is finished',
        'second seed 0 is finished',
    ]


def test_a_run_whose_start_is_not_there_fails_and_says_so(tmp_path: Path) -> None:
    second = Fake('second', start=Fake('first'))
    (failure,) = execute([second], tmp_path, jobs=2, report=lambda line: None)
    assert failure.run is second and failure.tail == 'it starts from first seed 0, which is not finished'


@pytest.mark.slow
def test_what_is_finished_is_not_repeated(tmp_path: Path) -> None:
    runs, lines = fakes(3), []
    assert execute(runs, tmp_path, jobs=2, report=lines.append) == []
    assert lines[0] == f'3 of 3 runs to do, 2 at a time, in {tmp_path}'
    record = runs[0].record(tmp_path)
    assert (record.name, record.threads, record.hardware) == ('fake0', 1, None)
    runs[1].path(tmp_path).unlink()
    assert execute([*runs, runs[1]], tmp_path, jobs=2, report=lines.append) == []
    assert [carried_out(run, tmp_path) for run in runs] == [1, 2, 1]
    lines = [(run.folder(tmp_path) / 'run.log').read_text().splitlines() for run in runs]
    assert [text[0] for text in lines] == [f'{run.name}: a stand-in' for run in runs]
    assert [text.count(text[0]) for text in lines] == [1, 1, 1]


@pytest.mark.slow
def test_a_failed_run_is_named_with_the_end_of_its_log_and_stops_no_other(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv('PYTHONUNBUFFERED', raising=False)  # output to a file would come after the error
    runs = [Fake('bad', status=3), *fakes(2)]
    (failure,) = execute(runs, tmp_path, jobs=1, report=lambda text: None)
    assert (failure.run, failure.status) == (runs[0], 1)
    assert str(failure).startswith(f'bad seed 0 ended with status 1; {runs[0].folder(tmp_path) / "run.log"}:\n')
    assert str(failure).endswith('the end of the log')
    assert all(run.record(tmp_path) for run in runs[1:]) and runs[0].record(tmp_path) is None


@pytest.mark.slow
def test_runs_of_one_training_take_turns_in_its_folder(tmp_path: Path) -> None:
    """What the second needs is not written by two processes at once, and both get their record."""
    runs = [Fake(name, seconds=0.4, training='shared') for name in ('linear', 'finetune')]
    assert runs[0].folder(tmp_path) == runs[1].folder(tmp_path)
    lines = []
    assert execute(runs, tmp_path, jobs=2, report=lines.append, interval_s=0.0) == []
    assert not any('linear' in line and 'finetune' in line for line in lines)
    assert all(run.record(tmp_path) for run in runs) and carried_out(runs[0], tmp_path) == 2


def test_a_step_that_fails_is_the_last_one(tmp_path: Path, monkeypatch) -> None:
    def steps(self, root):
        yield 'trained', [sys.executable, '-c', 'raise SystemExit(5)']
        raise AssertionError('evaluated without training')

    monkeypatch.setattr(Fake, 'steps', steps)
    (failure,) = execute(fakes(1), tmp_path, report=lambda text: None)
    assert failure.status == 5


@pytest.mark.slow
def test_two_at_once_share_the_runs(tmp_path: Path) -> None:
    """Both end when all is finished, and nothing was carried out twice."""
    processes = [start(tmp_path, 6, 0.3) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert [carried_out(run, tmp_path) for run in fakes(6)] == [1] * 6
    assert all(run.record(tmp_path) for run in fakes(6))


@pytest.mark.slow
@pytest.mark.parametrize('signum', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_it_leaves_no_process_and_no_lock(tmp_path: Path, signum: int) -> None:
    process = start(tmp_path, 1, 600)
    (run,) = fakes(1)
    wait_until(lambda: carried_out(run, tmp_path))
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    process.send_signal(signum)
    process.wait(30)
    wait_until(lambda: not any(alive(int(pid)) for pid in children))
    assert len(children) == 1
    assert execute(fakes(1), tmp_path, report=lambda text: None) == []
    assert carried_out(run, tmp_path) == 2


def test_progress_says_what_is_done_and_guesses_the_time_left_from_runs_alike() -> None:
    def minutes(count: int) -> timedelta:
        return timedelta(minutes=count)

    def active(text: str, age: int, left: int | None) -> SimpleNamespace:
        rest = None if left is None else minutes(left)
        return SimpleNamespace(run=fakes(1)[0], age=minutes(age), progress=lambda: (text, rest))

    pace = Pace(total=6, places=2)
    assert pace.line([active('a starting', 1, None)], fakes(1)) == '0 of 6 done; a starting'
    pace.took.append((Fake('untrained', trained=False), minutes(1)))
    # A training of 4 + 6 minutes predicts the time of two waiting ones; two places share the work.
    assert pace.line([active('a', 4, 6), active('b', 1, None)], fakes(2)) == '1 of 6 done; a; b; 0:13:00 left in total'
    assert pace.line([active('a', 4, 6)], [Fake('c', trained=False)]) == '1 of 6 done; a; 0:06:00 left in total'


@pytest.mark.slow
def test_progress_tells_how_far_a_training_is(tmp_path: Path, monkeypatch) -> None:
    code = """
import json, pathlib, sys, time
file = pathlib.Path(sys.argv[1]) / 'start/vis_data/scalars.json'
file.parent.mkdir(parents=True)
step = {'epoch': 2, 'iter': 20, 'loss': 9.5, 'time': 2.0}
file.write_text(json.dumps(step) + chr(10) + '{"epo')
time.sleep(1)
"""
    monkeypatch.setattr(Fake, 'iterations', 50)
    monkeypatch.setattr(
        Fake, 'steps', lambda self, root: iter([(TRAINED, [sys.executable, '-c', code, str(self.folder(root))])])
    )
    lines = []
    execute(fakes(1), tmp_path, report=lines.append, interval_s=0.0)
    text = 'fake0 seed 0 epoch 2, loss 9.5000, 0:01:00 left'
    assert f'0 of 1 done; {text}; 0:01:00 left in total' in lines


def test_every_gpu_has_a_run_of_its_own(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert [place['CUDA_VISIBLE_DEVICES'] for place in workplaces()] == ['0', '1']
    assert [place['CUDA_VISIBLE_DEVICES'] for place in workplaces(3)] == ['0', '1', '0']
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '5,GPU-7')
    assert [place['CUDA_VISIBLE_DEVICES'] for place in workplaces(3)] == ['5', 'GPU-7', '5']


def test_without_a_gpu_every_core_has_one_thread(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {0, 1, 5})
    assert workplaces() == [{'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}] * 3


def test_no_run_at_a_time_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'jobs=0 .*; set it to at least 1'):
        workplaces(0)


def timeless(value):
    """A record without what depends on the clock or on the state of the checkout."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in TIMES}
    return value


@pytest.mark.slow
def test_killed_at_random_points_it_ends_with_the_same_numbers(tmp_path: Path) -> None:
    """Toy trainings in an interrupted and in an undisturbed folder; what is finished is never touched again."""
    config = str(write_config(tmp_path, 'skeletonclr'))
    trained, untrained = runs = [Run('toy', config), Run('untrained', config, trained=False)]
    calm, rough = tmp_path / 'calm', tmp_path / 'rough'
    assert execute(runs, calm) == []
    script = (
        'import sys; from pathlib import Path; '
        'from skeattn.experiments.execute import execute; from skeattn.experiments.run import Run; '
        f'runs = [Run("toy", {config!r}), Run("untrained", {config!r}, trained=False)]; '
        f'sys.exit(len(execute(runs, Path({str(rough)!r}))))'
    )
    log, rng, finished = trained.folder(rough), random.Random(4), dict[Path, int]()

    def iterations() -> int:
        return sum(file.read_text().count('\n') for file in log.glob('*/vis_data/scalars.json'))

    def begin() -> subprocess.Popen:
        return subprocess.Popen([sys.executable, '-c', script], cwd=tmp_path, stdout=subprocess.DEVNULL)

    for signum in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        enough, process = iterations() + rng.randint(1, 3), begin()
        wait_until(lambda enough=enough, process=process: iterations() >= enough or process.poll() is not None)
        process.send_signal(signum)
        process.wait()
        for path in (run.path(rough) for run in runs):
            if path.exists():
                written = path.stat().st_mtime_ns
                assert finished.setdefault(path, written) == written
    assert begin().wait() == 0
    for run in runs:
        assert timeless(run.record(rough).to_dict()) == timeless(run.record(calm).to_dict())
    assert trained.record(rough).training.clips_seen == 3 * 24
    assert untrained.record(rough).training is None
    one, other = (read_checkpoint(trained.folder(root) / 'epoch_3.pth')['state_dict'] for root in (calm, rough))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
