"""Weighted nearest neighbours on frozen features."""

import logging
import math
from functools import partial
from numbers import Integral

import torch
from mmengine.dist import all_reduce, get_dist_info
from mmengine.logging import print_log
from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.evaluation.evaluator import Evaluator, working_device
from skeattn.evaluation.features import NO_HELD_OUT, Features, hold_out
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import ProtocolResult, Scores
from skeattn.evaluation.scaling import by_blocks, unit_streams
from skeattn.registry import EVALUATORS

BLOCK = 2**23
"""Similarities held at a time: 32 MB in float32, whatever the size of queries and bank."""


def nearest_neighbours(
    queries: Tensor, bank: Tensor, k: int, num_streams: int = 1, share: bool = False, device: str | None = None
) -> tuple[Tensor, Tensor]:
    """Cosine similarities and bank indices of the k nearest neighbours, both (B, k) on the CPU, nearest first.

    Of equally similar clips the one with the lowest index comes first.

    Args:
        queries: (B, D) features.
        bank: (N, D) features.
        k: number of neighbours.
        num_streams: equal parts of a feature, one per stream; the similarity is the mean of their cosines.
        share: divide the queries among the processes. All processes must call, and all receive the whole result. The
            chunks do not depend on the number of processes, so the result is the same bit for bit.
        device: by default the accelerator if there is one; it holds the bank and one chunk of the queries.

    Raises:
        ConfigError: k is not in 1..N.
    """
    if not isinstance(k, Integral) or not 1 <= k <= len(bank):
        raise ConfigError(f'KNN with k={k} on {len(bank)} clips in the feature bank; choose 1 <= k <= {len(bank)}')
    rank, world = get_dist_info() if share else (0, 1)
    where = working_device(device)
    similarities = torch.zeros(len(queries), k, dtype=queries.dtype, device=where)
    indices = torch.zeros(len(queries), k, dtype=torch.int64, device=where)
    bank = by_blocks(partial(l2_normalize, num_streams=num_streams), bank, where)
    chunks = (x.split(max(1, BLOCK // len(bank))) for x in (queries, similarities, indices))
    for chunk, *outputs in list(zip(*chunks, strict=True))[rank::world]:
        chunk = l2_normalize(chunk.to(where), num_streams)
        for output, values in zip(outputs, _nearest(chunk @ bank.T, k), strict=True):
            output.copy_(values)
    if world > 1:  # the chunks of other processes are zero here
        all_reduce(similarities)
        all_reduce(indices)
    return similarities.cpu(), indices.cpu()


def _nearest(similarities: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k highest of each row and their columns; of equal values the lowest column first, which topk leaves open."""
    values, indices = similarities.topk(min(k + 1, similarities.shape[1]), dim=1)
    cut = (values[:, k:] == values[:, k - 1 : k]).any(dim=1)  # equal values on both sides of place k
    values, indices = values[:, :k], indices[:, :k]
    if cut.any():
        ranked = similarities[cut].sort(dim=1, descending=True, stable=True)
        values[cut], indices[cut] = ranked.values[:, :k], ranked.indices[:, :k]
    by_index = indices.argsort(dim=1)
    values, indices = values.gather(1, by_index), indices.gather(1, by_index)
    by_value = values.argsort(dim=1, descending=True, stable=True)
    return values.gather(1, by_value), indices.gather(1, by_value)


def l2_normalize(x: Tensor, num_streams: int) -> Tensor:
    """Features (N, D) scaled to unit length; their equal parts, one per stream, have equal norms."""
    return unit_streams(x, num_streams) / math.sqrt(num_streams)


def vote(similarities: Tensor, labels: Tensor, num_classes: int, temperature: float = 0.1) -> Tensor:
    """Score of a class = sum of exp(similarity / temperature) over the neighbours of that class.

    Where a temperature is so low that the sum could overflow, each row is scaled by its own factor, which changes no
    prediction.

    Args:
        similarities: (B, k) cosine similarities of the neighbours.
        labels: (B, k) their labels.

    Returns:
        (B, num_classes) scores.
    """
    logits = similarities / temperature
    if 1 / temperature + math.log(labels.shape[1]) > math.log(torch.finfo(logits.dtype).max):
        logits = logits - logits.amax(dim=1, keepdim=True)
    scores = logits.new_zeros(len(logits), num_classes)
    return scores.scatter_add_(1, labels, logits.exp())


def knn_scores(
    queries: Tensor,
    bank: Tensor,
    labels: Tensor,
    k: int,
    temperature: float = 0.1,
    num_classes: int | None = None,
    num_streams: int = 1,
    device: str | None = None,
) -> Tensor:
    """Class scores (B, num_classes) on the CPU of queries (B, D) from the k nearest of a bank (N, D) with labels (N,).

    Source: the released KNN monitor. Features are L2-normalised here, separately for each stream.

    Raises:
        ConfigError: k is not in 1..N.
    """
    similarities, indices = nearest_neighbours(queries, bank, k, num_streams, device=device)
    labels = labels.cpu()
    return vote(similarities, labels[indices], num_classes or int(labels.max()) + 1, temperature)


@EVALUATORS.register_module()
class KNNEvaluator(Evaluator):
    """KNN accuracy for several K at once.

    In a distributed run the processes share the queries. Metrics in percent: ``top1_k{K}`` on the test clips;
    ``heldout_top1_k{K}``, the accuracy of held-out training subjects against the other training subjects (to choose a
    checkpoint or a K without test labels); and ``top1_heldout``, the test accuracy at the K chosen by the latter. The
    held-out metrics need known subjects. The features of each stream are scaled to unit length separately.

    Args:
        k: numbers of neighbours; a number larger than the bank is reduced to the bank's size, with a warning.
        temperature: of the votes.
        heldout: share of the training subjects held out.
        device: see :func:`nearest_neighbours`.
    """

    distributed = True

    def __init__(
        self,
        k: tuple[int, ...] = (1, 5, 10, 20, 40),
        temperature: float = 0.1,
        heldout: float = 0.2,
        device: str | None = None,
    ) -> None:
        if not k or min(k) < 1:
            raise ConfigError(f'KNNEvaluator: k={k!r}; all numbers of neighbours must be >= 1')
        if temperature <= 0:
            raise ConfigError(f'KNNEvaluator: temperature={temperature!r}; it must be > 0')
        self.k, self.temperature, self.heldout, self.device = tuple(k), temperature, heldout, device
        names = [f'{start}top1_k{number}' for start in ('', 'heldout_') for number in self.k]
        self.metric_names = (*names, 'top1_heldout')

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """Metrics, and the votes of the K chosen on held-out subjects, or of the first K if there are none."""
        classes = int(max(bank.labels.max(), test.labels.max())) + 1
        votes, parts = self._votes(bank, test, classes), hold_out(bank, self.heldout)
        metrics = {f'top1_k{k}': accuracy(scores, test.labels) for k, scores in votes.items()}
        if parts is None:
            scores = Scores(votes[self.k[0]], test.labels, test.names)
            facts = {'scores_of': f'K={self.k[0]}, the first'}
            return ProtocolResult(metrics, scores, notes={'top1_heldout': NO_HELD_OUT}, facts=facts)
        heldout, heldout_votes = parts[1], self._votes(*parts, classes)
        heldout_top1 = {k: accuracy(scores, heldout.labels) for k, scores in heldout_votes.items()}
        best = max(heldout_top1, key=lambda k: heldout_top1[k])
        metrics |= {f'heldout_top1_k{k}': value for k, value in heldout_top1.items()}
        metrics['top1_heldout'] = metrics[f'top1_k{best}']
        return ProtocolResult(
            metrics,
            Scores(votes[best], test.labels, test.names),
            Scores(heldout_votes[best], heldout.labels, heldout.names),
            facts={'scores_of': f'K={best}, chosen on held-out training subjects'},
        )

    def _votes(self, bank: Features, test: Features, classes: int) -> dict[int, Tensor]:
        """K -> class scores of the test clips."""
        if max(self.k) > len(bank):
            print_log(f'KNN: K is reduced to {len(bank)}, the number of clips in the bank', 'current', logging.WARNING)
        similarities, indices = nearest_neighbours(
            test.x, bank.x, min(max(self.k), len(bank)), bank.num_streams, share=True, device=self.device
        )
        labels = bank.labels[indices]
        return {k: vote(similarities[:, :k], labels[:, :k], classes, self.temperature) for k in self.k}
