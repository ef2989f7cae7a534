"""A process that hangs or has ended is noticed by the others and named."""

import time
from pathlib import Path

import pytest
from torch.multiprocessing.spawn import ProcessException

from tests.distributed.hanging_worker import main
from tests.distributed.launching import two_processes
from tests.engine.toy import write_set


@pytest.mark.slow
@pytest.mark.parametrize('ends', [False, True], ids=['hangs', 'has ended'])
def test_a_process_that_does_not_answer_is_named(tmp_path: Path, ends: bool) -> None:
    """Kind: others wait for one that never comes. They waited half an hour, and nothing said for whom."""
    begin = time.monotonic()
    with pytest.raises(ProcessException):
        two_processes(main, tmp_path, write_set(tmp_path / 'set'), ends)
    error = (tmp_path / 'error.txt').read_text()
    named = 'process 1 of 2 does not answer: it hangs or has ended, see its output'
    lost = 'process 0 of 2 has lost contact with another one, which has ended'  # where the connection is closed already
    assert error.startswith((named, lost) if ends else named)
    assert time.monotonic() - begin < 600  # of the sleep of 1,000
    assert (tmp_path / 'run/last_checkpoint').read_text() == 'epoch_1.pth'
