"""InfoNCE with a queue of negatives, and with the extra negative of the local losses."""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skeattn.models.losses.contrast import candidate_similarities, first_positive, similarities
from skeattn.registry import LOSSES


def info_nce(query: Tensor, key: Tensor, queue: Tensor, temperature: float, negative: Tensor | None = None) -> Tensor:
    """``-log(e^{q.k/tau} / (e^{q.k/tau} + [e^{q.n/tau}] + sum_j e^{q.m_j/tau}))``, mean over the batch.

    SkeAttnCLR eq. 1; with ``negative`` eq. 8 and 9, where the other region of the same clip is a negative.

    Args:
        query, key, queue, negative: see :func:`~skeattn.models.losses.contrast.similarities`.
        temperature: tau.
    """
    return first_positive(similarities(query, key, queue, negative) / temperature)


def matched_info_nce(
    query: Tensor, candidates: Tensor, positive: Tensor, temperature: float, negative: Tensor | None = None
) -> Tensor:
    """InfoNCE of queries that have their own candidates each, mean over the batch.

    Ours, not the paper's: SkeAttnCLR's local losses with ``negatives='matched'``.

    Args:
        query, candidates, negative: see :func:`~skeattn.models.losses.contrast.candidate_similarities`.
        positive: which candidate is the query's key, int64 ``(N,)``; the others are negatives.
        temperature: tau.
    """
    return cross_entropy(candidate_similarities(query, candidates, negative) / temperature, positive)


@LOSSES.register_module()
class InfoNCE(nn.Module):
    """:func:`info_nce` with its temperature, as a config component."""

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, query: Tensor, key: Tensor, queue: Tensor, negative: Tensor | None = None) -> Tensor:
        """See :func:`info_nce`."""
        return info_nce(query, key, queue, self.temperature, negative)

    def matched(self, query: Tensor, candidates: Tensor, positive: Tensor, negative: Tensor | None = None) -> Tensor:
        """See :func:`matched_info_nce`."""
        return matched_info_nce(query, candidates, positive, self.temperature, negative)

    def logits(self, query: Tensor, key: Tensor, queue: Tensor) -> Tensor:
        """Similarities divided by the temperature, ``(N, 1 + K)``, for losses with more than one positive."""
        return similarities(query, key, queue) / self.temperature
