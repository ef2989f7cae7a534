"""What each of two processes finds by KNN."""

from pathlib import Path

import torch
from mmengine.dist import get_dist_info
from torch.utils.flop_counter import FlopCounterMode

from skeattn.evaluation import Features, KNNEvaluator, LinearProbe, knn
from skeattn.evaluation.evaluator import evaluate_all
from tests.evaluation.standins import blobs


def clips() -> tuple[Features, Features]:
    """A bank and queries; with the small block below there are 7 chunks of them."""
    return blobs(20, seed=0, noise=2.0), blobs(9, seed=1, noise=2.0)


def results() -> dict:
    """What all processes must agree on, and how much this one computed."""
    bank, test = clips()
    knn.BLOCK = 4 * len(bank)
    with FlopCounterMode(display=False) as counter:
        similarities, indices = knn.nearest_neighbours(test.x, bank.x, 9, share=True)
    evaluators = {'knn': KNNEvaluator((1, 5)), 'linear': LinearProbe(epochs=2), 'again': KNNEvaluator((3,))}
    metrics = evaluate_all(evaluators, bank, test)
    scores = KNNEvaluator((1, 5)).evaluate(bank, test).test.scores
    flops = counter.get_total_flops()
    return {'similarities': similarities, 'indices': indices, 'metrics': metrics, 'scores': scores, 'flops': flops}


def main(folder: Path) -> None:
    """Leave the results of this process in ``folder``."""
    torch.distributed.init_process_group('gloo')
    torch.save(results(), folder / f'rank{get_dist_info()[0]}.pth')
