"""The committed losses of a hundred steps, so that no change moves a training unnoticed."""

import json
from pathlib import Path

import pytest
import torch

from tests.engine.traces import CASES, FILE, STEPS, trace

TORCH, CPU = '2.13.', 'AVX512'
"""What the committed losses were computed with."""
OTHER_CPU, OTHER_TORCH = 30, 5
"""How many steps have them with other instructions, and under other versions."""


@pytest.mark.parametrize('case', CASES)
@pytest.mark.slow
def test_a_hundred_steps_have_the_committed_losses(tmp_path: Path, case: str) -> None:
    expected = json.loads(FILE.read_text())[case]
    assert len(expected) == STEPS
    found = trace(case, tmp_path)
    # Other kernels round otherwise, and a training makes much of little.
    if not torch.__version__.startswith(TORCH):
        assert found[:OTHER_TORCH] == pytest.approx(expected[:OTHER_TORCH], rel=1e-5)
    elif torch.backends.cpu.get_cpu_capability() != CPU:
        assert found[:OTHER_CPU] == pytest.approx(expected[:OTHER_CPU], rel=1e-7)
    else:
        assert found == pytest.approx(expected, rel=1e-7)


def test_every_committed_trace_is_compared_and_none_is_like_another() -> None:
    committed = json.loads(FILE.read_text())
    assert committed.keys() == CASES.keys()
    assert len({tuple(losses) for losses in committed.values()}) == len(CASES)
