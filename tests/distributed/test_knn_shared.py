"""Two processes share the queries of KNN and find what one finds, to the last bit."""

from pathlib import Path

import pytest
import torch

import skeattn.evaluation.knn as knn
from tests.distributed.knn_worker import main, results
from tests.distributed.launching import two_processes


@pytest.mark.slow
def test_shared_queries_give_the_same_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, 'BLOCK', knn.BLOCK)  # the worker lowers it
    one = results()
    two_processes(main, tmp_path)
    first, second = (torch.load(tmp_path / f'rank{rank}.pth', weights_only=True) for rank in (0, 1))
    for found in (first, second):
        assert all(torch.equal(found[key], one[key]) for key in ('similarities', 'indices', 'scores'))
        assert 0 < found['flops'] < one['flops']
    assert first['flops'] + second['flops'] == one['flops']
    assert first['metrics'] == one['metrics']
    assert second['metrics'] == {key: value for key, value in one['metrics'].items() if 'linear' not in key}
