"""The same protocols on the test clips that remain without some of them, such as copies of training clips."""

from collections.abc import Collection

import torch
from torch import Tensor

from skeattn.evaluation.evaluator import Evaluator
from skeattn.evaluation.features import Features
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import ProtocolResult


class WithoutClips(Evaluator):
    """An evaluator that leaves out some of the test clips. The bank, and so everything that is learnt, is the same.

    Args:
        evaluator: of the remaining clips.
        names: of the clips to leave out.
    """

    def __init__(self, evaluator: Evaluator, names: Collection[str]) -> None:
        self.evaluator, self.names = evaluator, names
        self.reads, self.distributed = evaluator.reads, evaluator.distributed

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """The result on the remaining clips; without metrics where none remain."""
        remaining = _remaining(test.names, self.names)
        return self.evaluator.evaluate(bank, test.select(remaining)) if len(remaining) else ProtocolResult({})


def without_clips(result: ProtocolResult, names: Collection[str]) -> ProtocolResult:
    """A finished result without some test clips: the accuracies of its scores, ``top1`` and ``top5`` where it has them.

    Epochs of other metrics have no scores, so that those metrics are missing.
    """
    if result.test is None or not len(remaining := _remaining(result.test.names, names)):
        return ProtocolResult({})
    scores, labels = result.test.scores[remaining], result.test.labels[remaining]
    kinds = {'top1': 1, 'top5': 5}.items()
    return ProtocolResult({name: accuracy(scores, labels, k) for name, k in kinds if name in result.metrics})


def _remaining(test: Collection[str], names: Collection[str]) -> Tensor:
    return torch.tensor([i for i, name in enumerate(test) if name not in names], dtype=torch.int64)
