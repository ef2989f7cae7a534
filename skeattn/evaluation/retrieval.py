"""Retrieval of clips of the same class."""

from functools import partial

import torch
from torch import Tensor

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.evaluator import Evaluator, working_device
from skeattn.evaluation.features import Features
from skeattn.evaluation.knn import l2_normalize
from skeattn.evaluation.result import ProtocolResult
from skeattn.evaluation.scaling import by_blocks
from skeattn.registry import EVALUATORS

BLOCK = 2**23
"""Similarities ranked at a time: with ranks and precisions less than 300 MB for any number of queries and clips."""


def rank(similarities: Tensor, relevant: Tensor) -> tuple[Tensor, Tensor]:
    """Average precision of queries, and the rank (from 0) of the first relevant bank clip, both (B,).

    AP is the mean over the relevant clips of the precision at their rank in the whole ranking by similarity. Ties keep
    the order of the bank.

    Args:
        similarities: (B, N) of the queries to the bank.
        relevant: (B, N) bool, at least one True in every row.
    """
    hits = relevant.gather(1, similarities.argsort(dim=1, descending=True, stable=True))
    counts = hits.cumsum(dim=1, dtype=torch.int32)
    precisions = torch.where(hits, counts / torch.arange(1, hits.shape[1] + 1, device=hits.device), 0.0)
    return precisions.sum(dim=1, dtype=torch.float64) / counts[:, -1], hits.int().argmax(dim=1)


@EVALUATORS.register_module()
class Retrieval(Evaluator):
    """Retrieval of training clips of a test clip's class by cosine similarity; nothing is trained or chosen.

    Metrics in percent: ``mAP``, the mean average precision over the whole ranking, and for every K ``r{K}``, the test
    clips with a clip of their class among the K nearest (recall at K).

    Args:
        recall: values of K.
        device: by default the accelerator if there is one; it holds the bank and one block of the ranking.

    Raises:
        ConfigError: a K below 1.
    """

    def __init__(self, recall: tuple[int, ...] = (1, 5, 10), device: str | None = None) -> None:
        if not recall or min(recall) < 1:
            raise ConfigError(f'Retrieval: recall={recall!r}; all numbers of clips must be >= 1')
        self.recall, self.device = tuple(recall), device

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """The metrics.

        Raises:
            DataError: the bank has no clip of a test clip's class.
        """
        unmatched = torch.nonzero(~torch.isin(test.labels, bank.labels))[:, 0]
        if len(unmatched):
            name, label = test.names[int(unmatched[0])], int(test.labels[unmatched[0]])
            raise DataError(
                f'retrieval: no training clip has label {label} of test clip {name}; see dataset.split and '
                f'dataset.subset'
            )
        device, normalised = working_device(self.device), partial(l2_normalize, num_streams=bank.num_streams)
        clips, labels = by_blocks(normalised, bank.x, device), bank.labels.to(device)
        precisions, ranks = zip(
            *(
                rank(normalised(test.x[chunk].to(device)) @ clips.T, test.labels[chunk, None].to(device) == labels)
                for chunk in torch.arange(len(test)).split(max(1, BLOCK // len(bank)))
            ),
            strict=True,
        )
        first = torch.cat(ranks)
        metrics = {'mAP': 100 * torch.cat(precisions).mean().item()}
        return ProtocolResult(metrics | {f'r{k}': 100 * (first < k).double().mean().item() for k in self.recall})
