"""Two processes share the queries of KNN and find what one finds, to the last bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import skeattn.evaluation.knn as knn
from tests.conftest import ROOT
from tests.distributed.knn_worker import results


def test_shared_queries_give_the_same_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, 'BLOCK', knn.BLOCK)  # the worker lowers it
    one = results()
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--local-addr=127.0.0.1']
    worker = ['--nproc-per-node=2', str(ROOT / 'tests/distributed/knn_worker.py'), str(tmp_path)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    done = subprocess.run([*launch, *worker], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    first, second = (torch.load(tmp_path / f'rank{rank}.pth', weights_only=True) for rank in (0, 1))
    for found in (first, second):
        assert all(torch.equal(found[key], one[key]) for key in ('similarities', 'indices', 'scores'))
        assert 0 < found['flops'] < one['flops']
    assert first['flops'] + second['flops'] == one['flops']
    assert first['metrics'] == one['metrics']
    assert second['metrics'] == {key: value for key, value in one['metrics'].items() if 'linear' not in key}
