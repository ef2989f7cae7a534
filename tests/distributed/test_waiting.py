"""Other processes wait for an evaluator of the first one for longer than their collectives may take."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from skeattn.evaluation import FunctionEvaluator, KNNEvaluator
from skeattn.evaluation.evaluator import evaluate_all
from tests.distributed.launching import two_processes
from tests.evaluation.standins import blobs

TIMEOUT_S = 3


def long_evaluation(out: Path) -> None:
    """An evaluator that works longer than the timeout, then one that shares its work, then a collective."""
    dist.init_process_group('gloo', timeout=timedelta(seconds=TIMEOUT_S))

    def work(bank, test) -> dict[str, float]:
        time.sleep(TIMEOUT_S + 2)
        return {'clips': float(len(bank))}

    metrics = evaluate_all(
        {'long': FunctionEvaluator(work), 'knn': KNNEvaluator((1,), heldout=0.5)}, blobs(20, 0), blobs(5, 1)
    )
    total = torch.ones(())
    dist.all_reduce(total)
    torch.save((metrics, total.item()), out / f'{dist.get_rank()}.pt')


@pytest.mark.slow
def test_an_evaluation_may_take_longer_than_the_timeout_of_the_training(tmp_path: Path) -> None:
    two_processes(long_evaluation, tmp_path)
    (first, *totals), (second, *others) = (torch.load(tmp_path / f'{r}.pt', weights_only=True) for r in (0, 1))
    assert first == {'long/clips': 60.0} | second and second['knn/top1_k1'] > 0
    assert totals == others == [2.0]
