"""Trainings killed at events of every kind, resumed, end with the bits of the uninterrupted one."""

from pathlib import Path

import pytest

from skeattn.torture.kills import Gallows
from skeattn.torture.moments import Moment

pytestmark = pytest.mark.slow


def late(gallows: Gallows, mode: str, share: float) -> Moment:
    """An operation on a file, after a share of all."""
    return Moment('file', int(share * gallows.whole(mode).files))


# mode -> moments of each run; numbers count within a process, so that a second kill follows soon after the first.
# A whole number of 'file' is found when the test runs, from a share of all operations.
RUNS: list[tuple[str, list[Moment | float]]] = [
    ('plain', [Moment('iteration', 1), Moment('iteration', 4)]),
    ('plain', [0.25, 0.3, 0.25]),  # operations on files: checkpoints opened, renamed, pointed to, removed
    ('plain', [Moment('size', 3_000), Moment('size', 300_000), 0.9]),
    ('plain', [Moment('evaluation', 0), Moment('evaluation', 1)]),
    ('plain', [Moment('iteration', 1, signal='SIGTERM'), Moment('evaluation', 0, signal='SIGTERM')]),
    ('accumulation', [Moment('iteration', 3), Moment('iteration', 1, signal='SIGTERM'), Moment('evaluation', 0)]),
    ('bf16', [Moment('iteration', 2), 0.6]),
    ('two processes', [Moment('iteration', 3, rank=1), Moment('iteration', 1, rank=0), Moment('evaluation', 0)]),
]
"""Runs with 20 kills."""


@pytest.fixture(scope='module')
def gallows(tmp_path_factory) -> Gallows:
    return Gallows(tmp_path_factory.mktemp('kills'))


def test_there_are_twenty_kills() -> None:
    assert sum(len(moments) for _, moments in RUNS) == 20


@pytest.mark.parametrize(('mode', 'moments'), RUNS, ids=[f'{mode}-{i}' for i, (mode, _) in enumerate(RUNS)])
def test_a_killed_training_ends_with_the_bits_of_an_uninterrupted_one(gallows, mode, moments) -> None:
    """Weights, key encoder, queue, optimiser, schedules, losses, metrics, best checkpoint."""
    placed = [late(gallows, mode, moment) if isinstance(moment, float) else moment for moment in moments]
    trial = gallows.run(mode, mode, placed)
    assert not trial.faults, (trial.moments, Path(trial.folder))
    assert trial.kills == len(moments)
