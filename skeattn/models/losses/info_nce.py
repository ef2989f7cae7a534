"""InfoNCE with a queue of negatives, and with the extra negative of the local losses."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skeattn.registry import LOSSES


def info_nce(query: Tensor, key: Tensor, queue: Tensor, temperature: float, negative: Tensor | None = None) -> Tensor:
    """``-log(e^{q.k/tau} / (e^{q.k/tau} + [e^{q.n/tau}] + sum_j e^{q.m_j/tau}))``, mean over the batch.

    SkeAttnCLR eq. 1; with ``negative`` eq. 8 and 9, where the other region of the same clip is pushed away.

    Args:
        query: unit vectors ``(N, D)``.
        key: their positives, unit vectors ``(N, D)``.
        queue: negatives m_j, unit columns ``(D, K)``.
        temperature: tau.
        negative: one more negative per query, unit vectors ``(N, D)``; detach it where it must not learn.
    """
    with torch.autocast(query.device.type, enabled=False):  # bfloat16 similarities would round away what they rank
        logits = [(query * key).sum(dim=1, keepdim=True), query @ queue.to(query.dtype)]
        if negative is not None:
            logits.append((query * negative).sum(dim=1, keepdim=True))
        positive = torch.zeros(len(query), dtype=torch.long, device=query.device)
        return cross_entropy(torch.cat(logits, dim=1) / temperature, positive)


@LOSSES.register_module()
class InfoNCE(nn.Module):
    """:func:`info_nce` with its temperature, as a config component."""

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, query: Tensor, key: Tensor, queue: Tensor, negative: Tensor | None = None) -> Tensor:
        """See :func:`info_nce`."""
        return info_nce(query, key, queue, self.temperature, negative)
