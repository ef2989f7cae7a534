"""The progress line: silent for short work, with the remaining time for long work."""

from itertools import count

import pytest

import skeattn.progress
from skeattn.progress import progress


@pytest.fixture
def seconds(monkeypatch):
    """A clock that advances by one second at each reading."""
    clock = count()
    monkeypatch.setattr(skeattn.progress.time, 'monotonic', lambda: float(next(clock)))


def test_short_work_prints_nothing(capsys):
    assert list(progress(range(100), 'counting')) == list(range(100))
    assert capsys.readouterr().err == ''


def test_long_work_shows_how_much_is_done_and_the_time_left(seconds, capsys):
    assert list(progress(range(30), 'counting')) == list(range(30))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == 'counting: 1/30 (3 %), 0:58 left'
    assert lines[-1] == 'counting: 30/30, took 0:31'
    assert len(lines) == 4  # every ten seconds without a terminal


def test_the_total_of_a_generator_is_an_argument(seconds, capsys):
    assert list(progress(iter('abcd'), 'reading', total=4)) == list('abcd')
    assert 'reading: 4/4' in capsys.readouterr().err
