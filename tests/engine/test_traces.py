"""The committed losses of a hundred steps, so that no change moves a training unnoticed."""

import json
from pathlib import Path

import pytest
import torch

from tests.engine.traces import CASES, FILE, STEPS, trace

FAST = 'skeattnclr'
TORCH, SAME = '2.13.', 5
"""The version of the committed losses, and how many steps have them under other versions."""


@pytest.mark.parametrize(
    'case', [case if case == FAST else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_a_hundred_steps_have_the_committed_losses(tmp_path: Path, case: str) -> None:
    expected = json.loads(FILE.read_text())[case]
    assert len(expected) == STEPS
    found = trace(case, tmp_path)
    if torch.__version__.startswith(TORCH):
        assert found == pytest.approx(expected, rel=1e-7)
    else:  # other kernels round otherwise, and a training makes much of little
        assert found[:SAME] == pytest.approx(expected[:SAME], rel=1e-5)


def test_every_committed_trace_is_compared_and_none_is_like_another() -> None:
    committed = json.loads(FILE.read_text())
    assert committed.keys() == CASES.keys()
    assert len({tuple(losses) for losses in committed.values()}) == len(CASES)
