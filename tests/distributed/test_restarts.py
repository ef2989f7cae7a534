"""Processes that are started again after one of them died continue the training."""

from pathlib import Path

import pytest

from skeattn.checkpoint import read_checkpoint
from tests.distributed.launching import launch
from tests.engine.runs import assert_equal_state, logged
from tests.engine.toy import write_config


@pytest.mark.slow
def test_restarts_without_resuming_are_refused(tmp_path: Path) -> None:
    done = launch('dist_train.sh', write_config(tmp_path), 2, MAX_RESTARTS='1')
    assert done.returncode == 2 and 'MAX_RESTARTS=1 without --resume' in done.stderr


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_costs_a_restart_and_no_bit(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    fatal = tmp_path / 'fatal.py'
    fatal.write_text(
        f"_base_ = '{config}'\ncustom_imports = dict(imports=['tests.faults.kill_hook'])\n"
        f"custom_hooks = [dict(type='KillHook', iteration=4, rank=1)]\n"
    )
    for name, path in (('whole', config), ('killed', fatal)):
        done = launch('dist_train.sh', path, 2, '--resume', '--work-dir', tmp_path / name, MAX_RESTARTS='1')
        assert done.returncode == 0, done.stderr[-3000:]
    states = [read_checkpoint(tmp_path / name / 'epoch_3.pth') for name in ('killed', 'whole')]
    assert_equal_state(*states)
    assert len(list((tmp_path / 'killed').glob('*/vis_data/scalars.json'))) == 2
    assert logged(tmp_path / 'killed')[-6:] == logged(tmp_path / 'whole')[3:]
