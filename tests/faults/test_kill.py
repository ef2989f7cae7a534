"""A run that was killed continues as if it had not been."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT
from tests.engine.runs import assert_equal_state, logged
from tests.engine.toy import call, toy_runner, write_config

pytestmark = pytest.mark.slow


def test_after_sigkill_resume_ends_with_the_bits_of_the_uninterrupted_run(tmp_path, monkeypatch):
    """Weights, key encoder, queue, optimiser and losses; killed in the second epoch of three."""
    config = write_config(tmp_path)
    toy_runner(tmp_path).train()
    killed = tmp_path / 'killed'
    fatal = tmp_path / 'fatal.py'
    fatal.write_text(
        f"_base_ = '{config}'\ncustom_imports = dict(imports=['tests.faults.kill_hook'])\n"
        f"custom_hooks = [dict(type='KillHook', iteration=4)]\n"
    )
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(fatal), '--work-dir', str(killed)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    died = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert (killed / 'last_checkpoint').read_text() == 'epoch_1.pth'

    call('train', config, '--work-dir', killed, '--resume')
    whole, resumed = (torch.load(run / 'epoch_3.pth', weights_only=True) for run in (tmp_path / 'run', killed))
    assert_equal_state(resumed, whole)
    # Iterations 3 and 4 were logged by the killed run, too.
    assert logged(killed)[-6:] == logged(tmp_path / 'run')[3:]
