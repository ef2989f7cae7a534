"""A batch that is not finite in one process is left out in all of them."""

from pathlib import Path

import pytest
import torch

from tests.distributed.launching import two_processes
from tests.distributed.skipping_worker import main
from tests.engine.runs import same
from tests.engine.toy import write_set


@pytest.mark.slow
def test_two_processes_leave_out_the_same_batches(tmp_path: Path) -> None:
    two_processes(main, tmp_path, write_set(tmp_path / 'set'))
    one, other = (torch.load(tmp_path / f'{rank}.pt', weights_only=True) for rank in (0, 1))
    assert [step // 3 for step in one['skipped']] == [0, 1, 2]
    assert one['skipped'] == other['skipped']
    weights = [{name: value.detach() for name, value in facts['weights'].items()} for facts in (one, other)]
    assert same(*weights) and same(one['queue'], other['queue'])
    assert all(value.isfinite().all() for value in (*weights[0].values(), one['queue']))
