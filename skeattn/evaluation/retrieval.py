"""Retrieval: clips find the clips of their class."""

import torch
from torch import Tensor

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.evaluator import Evaluator
from skeattn.evaluation.features import Features
from skeattn.evaluation.knn import l2_normalize
from skeattn.evaluation.result import ProtocolResult
from skeattn.registry import EVALUATORS

BLOCK = 2**23
"""Similarities ranked at a time: with places and precisions less than 300 MB, whatever the size of queries and bank."""


def rank(queries: Tensor, bank: Tensor, relevant: Tensor, num_streams: int = 1) -> tuple[Tensor, Tensor]:
    """Average precision of queries, and the place (from 0) of the first bank clip that is relevant, both (B,).

    AP is the mean over the relevant clips of the precision at their place in the whole ranking by cosine similarity;
    of equally similar clips the one that stands first in the bank comes first.

    Args:
        queries: (B, D) features.
        bank: (N, D) features.
        relevant: (B, N) bool, at least one in every row.
        num_streams: see :func:`~skeattn.evaluation.knn.nearest_neighbours`.
    """
    similarities = l2_normalize(queries, num_streams) @ l2_normalize(bank, num_streams).T
    hits = relevant.gather(1, similarities.argsort(dim=1, descending=True, stable=True))
    counts = hits.cumsum(dim=1, dtype=torch.int32)
    precisions = torch.where(hits, counts / torch.arange(1, hits.shape[1] + 1), 0.0)
    return precisions.sum(dim=1, dtype=torch.float64) / counts[:, -1], hits.int().argmax(dim=1)


@EVALUATORS.register_module()
class Retrieval(Evaluator):
    """Test clips look for training clips of their class, by cosine similarity; nothing is trained, nothing chosen.

    Metrics in percent: ``mAP``, the mean average precision over the whole ranking, and for every K ``r{K}``, the test
    clips with a clip of their class among the K nearest (recall at K).

    Args:
        recall: the K.

    Raises:
        ConfigError: a K below 1.
    """

    def __init__(self, recall: tuple[int, ...] = (1, 5, 10)) -> None:
        if not recall or min(recall) < 1:
            raise ConfigError(f'Retrieval: recall must hold numbers of clips >= 1, not {recall!r}')
        self.recall = tuple(recall)

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """The metrics.

        Raises:
            DataError: a test clip with no clip of its class in the bank.
        """
        unmatched = torch.nonzero(~torch.isin(test.labels, bank.labels))[:, 0]
        if len(unmatched):
            name, label = test.names[int(unmatched[0])], int(test.labels[unmatched[0]])
            raise DataError(f'retrieval: no training clip has label {label}, that of test clip {name}')
        precisions, places = zip(
            *(
                rank(test.x[chunk], bank.x, test.labels[chunk, None] == bank.labels, bank.num_streams)
                for chunk in torch.arange(len(test)).split(max(1, BLOCK // len(bank)))
            ),
            strict=True,
        )
        first = torch.cat(places)
        metrics = {'mAP': 100 * torch.cat(precisions).mean().item()}
        return ProtocolResult(metrics | {f'r{k}': 100 * (first < k).double().mean().item() for k in self.recall})
