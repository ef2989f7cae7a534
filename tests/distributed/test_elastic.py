"""Trainings of several processes that are resumed, by the same number or by others."""

import shutil
from pathlib import Path

import pytest
import torch

from skeattn.checkpoint import read_checkpoint
from tests.distributed.elastic_worker import train
from tests.distributed.launching import processes, two_processes
from tests.engine.runs import assert_equal_state, logged
from tests.engine.toy import write_set

LAST = 'run/epoch_3.pth'
LEGS = ((1, 2), (2, 4), (4, 6), (1, None))
"""Processes, and the iteration after which they stop; an epoch has three."""


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp('elastic') / 'set')


@pytest.mark.slow
def test_two_processes_resume_within_an_epoch_bit_for_bit(tmp_path, data) -> None:
    """Kind: state that each process has of its own. BatchNorm statistics and histories of scalars were the first's."""
    two_processes(train, tmp_path / 'whole', data, None, False, False)
    (tmp_path / 'again/run').mkdir(parents=True)
    shutil.copy(tmp_path / 'whole/run/epoch_1_iter_5.pth', tmp_path / 'again/run')
    two_processes(train, tmp_path / 'again', data, None, True, False)
    whole, again = (read_checkpoint(tmp_path / name / LAST) for name in ('whole', 'again'))
    assert_equal_state(again, whole)
    assert logged(tmp_path / 'again/run') == logged(tmp_path / 'whole/run')[5:]
    states = read_checkpoint(tmp_path / 'whole/run/epoch_1_iter_5.pth')['processes']
    assert len(states) == 2 and not torch.equal(states[0]['statistics'], states[1]['statistics'])


@pytest.mark.slow
def test_one_then_two_then_four_then_one_process_train_as_one_does(tmp_path, data) -> None:
    """The same clips, views, keys, queue and losses, with BatchNorm in evaluation mode."""
    train(tmp_path / 'one', data, None, False)
    for leg, (count, until) in enumerate(LEGS):
        if count == 1:
            train(tmp_path / 'many', data, until, leg > 0)
        else:
            processes(count, train, tmp_path / 'many', data, until, leg > 0)
    one = torch.load(tmp_path / 'one/seen_None.pt', weights_only=True)
    parts = [torch.load(tmp_path / f'many/seen_{until}.pt', weights_only=True) for _, until in LEGS]
    assert [sorted(part['clips']) for part in parts] == [[0, 1], [2, 3], [4, 5], [6, 7, 8]]
    many = {key: {step: value for part in parts for step, value in part[key].items()} for key in one}
    assert many['clips'] == one['clips']
    torch.testing.assert_close(many['views'], one['views'], rtol=0, atol=1e-6)
    torch.testing.assert_close(many['losses'], one['losses'], rtol=0, atol=1e-6)
    states = [read_checkpoint(tmp_path / name / LAST)['state_dict'] for name in ('many', 'one')]
    torch.testing.assert_close(*states, rtol=0, atol=1e-6)
    assert states[0]['queue.pointer'] == 9 * 8 % 40
