"""Similarities to the key and to the queue, and the losses built on them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def l2_normalize(x: Tensor) -> Tensor:
    """Rows of ``(N, D)`` scaled to unit length, in single precision at least."""
    return normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1)


def similarities(query: Tensor, key: Tensor, queue: Tensor, negative: Tensor | None = None) -> Tensor:
    """``[q.k | q.m_1 … q.m_K | q.n]``: column 0 is the positive.

    Args:
        query: unit vectors ``(N, D)``.
        key: their positives, unit vectors ``(N, D)``.
        queue: negatives m_j, unit columns ``(D, K)``.
        negative: one more negative per query, unit vectors ``(N, D)``; detach it if it must receive no gradient.

    Returns:
        ``(N, 1 + K)``, with ``negative`` ``(N, 1 + K + 1)``.
    """
    with torch.autocast(query.device.type, enabled=False):  # bfloat16 would round away the differences that are ranked
        columns = [(query * key).sum(dim=1, keepdim=True), query @ queue.to(query.dtype)]
        if negative is not None:
            columns.append((query * negative).sum(dim=1, keepdim=True))
        return torch.cat(columns, dim=1)


def candidate_similarities(query: Tensor, candidates: Tensor, negative: Tensor | None = None) -> Tensor:
    """``[q_i.k_i1 … q_i.k_iB | q_i.n_i]``: every query has its own candidates.

    Args:
        query: unit vectors ``(N, D)``.
        candidates: unit vectors ``(N, B, D)``.
        negative: see :func:`similarities`.

    Returns:
        ``(N, B)``, with ``negative`` ``(N, B + 1)``.
    """
    with torch.autocast(query.device.type, enabled=False):
        columns = [torch.einsum('id,ijd->ij', query, candidates)]
        if negative is not None:
            columns.append((query * negative).sum(dim=1, keepdim=True))
        return torch.cat(columns, dim=1)


def first_positive(logits: Tensor) -> Tensor:
    """Cross entropy with column 0 as the positive, mean over the batch: InfoNCE."""
    return cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def mean_of_logs(logits: Tensor, positives: Tensor) -> Tensor:
    """``-(1/|P|) sum_P log softmax``, mean over the batch: InfoNCE with the mined positives P.

    CrosSCLR eq. 6, AimCLR eq. 8. With one positive it is InfoNCE.

    Args:
        logits: ``(N, L)``, already divided by the temperature.
        positives: bool ``(N, L)``.
    """
    log_sums = logits.log_softmax(dim=1).masked_fill(~positives, 0).sum(dim=1)
    return -(log_sums / positives.sum(dim=1)).mean()


def mined_info_nce(branches: Sequence[Tensor], top_k: int) -> Tensor:
    """InfoNCE of the first branch; its positives are the key and every branch's ``top_k`` nearest queue entries.

    AimCLR section 3.4, HiCLR section 3.3. With ``top_k=0`` it is plain InfoNCE.

    Args:
        branches: logits ``(N, 1 + K)`` of each view of the clip, over the same queue.
        top_k: mined positives per branch.
    """
    if not top_k:
        return first_positive(branches[0])
    positives = torch.stack([nearest_keys(logits, top_k) for logits in branches]).any(dim=0)
    return mean_of_logs(branches[0], positives)


def follow(target: Tensor, logits: Tensor) -> Tensor:
    """``-E sum p_target log p``: make one distribution over key and queue follow a target, which receives no gradient.

    AimCLR's D3M, HiCLR's asymmetric consistency.

    Args:
        target, logits: ``(N, L)``, already divided by the temperature.
    """
    return cross_entropy(logits, target.detach().softmax(dim=1))


def nearest_keys(logits: Tensor, count: int) -> Tensor:
    """Column 0 and the ``count`` most similar queue entries as positives: bool ``(N, 1 + K)``."""
    positives = torch.zeros_like(logits, dtype=torch.bool)
    positives[:, 0] = True
    return positives.scatter(1, 1 + logits[:, 1:].topk(count, dim=1).indices, True)
