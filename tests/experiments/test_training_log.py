"""How far a training is, from lines of its log."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.experiments.run import count_iterations
from skeattn.experiments.training_log import TrainingLog, TrainingState
from tests.engine.toy import toy_runner


def step(number: int, seconds: float = 2.0, epoch: int = 1, loss: float = 9.5) -> dict:
    return {'lr': 0.1, 'loss': loss, 'L_s': 5.1, 'time': seconds, 'epoch': epoch, 'iter': number, 'step': number}


def write(work_dir: Path, start: str, *lines: dict | str) -> None:
    file = work_dir / start / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines))


def test_the_time_left_is_that_of_the_steps_to_do(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path, lambda: 140)
    assert log.state() is None
    write(tmp_path, '1', step(10, 3.0), step(20, 1.0, 2, 8.25), {'knn/top1': 50.0, 'step': 2})
    assert log.state() == TrainingState(2, 8.25, timedelta(minutes=4))
    assert str(log.state()) == 'epoch 2, loss 8.2500, 0:04:00 left'
    write(tmp_path, '1', step(10, 1800.0), step(20, 1800.0))
    assert str(log.state()) == 'epoch 1, loss 9.5000, 2 days, 12:00:00 left'
    write(tmp_path, '1', step(150))  # of a config that was changed meanwhile
    assert log.state().left == timedelta()


@pytest.mark.parametrize('bad', ['', '{"epoch": 2, "iter": 2', '[1]', 'null', '{"epoch": 1, "loss": 3.0}', '\ufffd'])
def test_a_line_that_is_cut_short_or_of_something_else_is_passed_over(tmp_path: Path, bad: str) -> None:
    log = TrainingLog(tmp_path, lambda: 30)
    write(tmp_path, '1', bad)
    assert log.state() is None
    write(tmp_path, '1', step(10), bad)
    assert log.state() == TrainingState(1, 9.5, timedelta(seconds=40))


@given(st.floats(0, 1))
def test_a_log_can_be_read_while_it_is_written(tmp_path_factory, part: float) -> None:
    folder = tmp_path_factory.mktemp('log')
    log = TrainingLog(folder, lambda: 40)
    write(folder, '1', *(step(10 * i) for i in (1, 2, 3)), '')
    file = folder / '1/vis_data/scalars.json'
    content = file.read_bytes()
    written = content[: round(part * len(content))]
    file.write_bytes(written)
    whole = sum(written.startswith(content[: content.index(b'}', at) + 1]) for at in lines(content))
    state = log.state()
    assert (state and state.left) == (timedelta(seconds=80 - 20 * whole) if whole else None)


def lines(content: bytes) -> list[int]:
    """Where lines begin."""
    return [0, *(i + 1 for i, byte in enumerate(content[:-1]) if byte == ord('\n'))]


def test_what_an_earlier_start_logged_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, '1', step(10, 100.0))
    log = TrainingLog(tmp_path, lambda: 30)
    assert log.state() is None
    write(tmp_path, '2', step(20))
    assert log.state() == TrainingState(1, 9.5, timedelta(seconds=20))


def test_the_number_of_steps_is_asked_for_once_and_only_when_some_are_done(tmp_path: Path) -> None:
    calls = []
    log = TrainingLog(tmp_path, lambda: calls.append(1) or 30)
    log.state()
    assert not calls
    write(tmp_path, '1', step(10))
    log.state(), log.state()
    assert calls == [1]


@pytest.mark.slow
@pytest.mark.parametrize(('options', 'steps'), [({}, 9), ({'max_iters': 5}, 5), ({'max_iters': 50}, 9)])
def test_a_real_training_ends_with_no_time_left(tmp_path: Path, options: dict, steps: int) -> None:
    """26 clips are 3 batches of 8, for 3 epochs."""
    runner = toy_runner(tmp_path, model='skeletonclr', evaluation__evaluators=None, **options)
    log = TrainingLog(tmp_path / 'run', lambda: count_iterations(runner.cfg))
    assert count_iterations(runner.cfg) == steps
    runner.train()
    state = log.state()
    assert (runner.iter, state.epoch, state.left) == (steps, -(-steps // 3), timedelta())
