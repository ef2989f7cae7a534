"""Kind: state between optimiser steps. Each process has gradients and keys of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skeattn.checkpoint import read_checkpoint
from tests.conftest import ROOT
from tests.engine.runs import assert_equal_state
from tests.engine.toy import write_set

WORKER = str(ROOT / 'tests/faults/accumulation_worker.py')
TWO = ['-m', 'torch.distributed.run', '--standalone', '--local-addr=127.0.0.1', '--nproc-per-node=2']


def train(folder: Path, data: Path, launch: list[str], resume: str = 'start') -> str:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, *launch, WORKER, str(folder), str(data), resume]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_an_incomplete_step_of_two_processes_survives_in_two_and_in_one(tmp_path):
    data = write_set(tmp_path / 'set')
    train(tmp_path / 'whole', data, TWO)
    for name, launch in (('two', TWO), ('one', [])):
        (tmp_path / name / 'run').mkdir(parents=True)
        shutil.copy(tmp_path / 'whole/run/epoch_1.pth', tmp_path / name / 'run')
        output = train(tmp_path / name, data, launch, 'resume')
        assert ('world_size=2, the config says 1: clips, views and keys stay' in output) == (name == 'one')
    whole, two, one = (read_checkpoint(tmp_path / name / 'run/epoch_3.pth') for name in ('whole', 'two', 'one'))
    assert_equal_state(two, whole)
    assert int(whole['state_dict']['queue.pointer']) == int(one['state_dict']['queue.pointer']) == 32
