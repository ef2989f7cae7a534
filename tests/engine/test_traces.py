"""The committed losses of a hundred steps, so that no change moves a training unnoticed."""

import json
from pathlib import Path

import pytest

from tests.engine.traces import CASES, FILE, STEPS, trace

FAST = 'skeattnclr'


@pytest.mark.parametrize(
    'case', [case if case == FAST else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_a_hundred_steps_have_the_committed_losses(tmp_path: Path, case: str) -> None:
    expected = json.loads(FILE.read_text())[case]
    assert len(expected) == STEPS
    assert trace(case, tmp_path) == pytest.approx(expected, rel=1e-7)


def test_every_committed_trace_is_compared_and_none_is_like_another() -> None:
    committed = json.loads(FILE.read_text())
    assert committed.keys() == CASES.keys()
    assert len({tuple(losses) for losses in committed.values()}) == len(CASES)
