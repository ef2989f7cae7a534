"""Self-distillation: targets without labels, their cross entropy, and a term that spreads the features."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from skeattn.models.processes import gather_with_gradient, own_rows, sum_over_processes

EPS = 1e-8


@torch.no_grad()
def sinkhorn(logits: Tensor, temperature: Tensor | float, rows: Tensor | None = None, iterations: int = 3) -> Tensor:
    """Soft assignments to prototypes such that all prototypes are used alike (SwAV; Cuturi 2013).

    ``exp(logits / temperature)`` is scaled by turns, so that the assignments to each prototype, and those of each row,
    have equal sums. In the limit both hold; the last scaling is that of the rows, which sum to 1. Rows of all processes
    count.

    Args:
        logits: cosines, ``(N, K)``.
        temperature: of the teacher, above 0.01: the exponentials are not shifted.
        rows: bool ``(N,)``, rows that count; the others are 0. Default: all.
        iterations: number of scalings of both.

    Returns:
        ``(N, K)``, in single precision at least.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    Q = (logits / temperature).exp()
    if rows is not None:
        Q = Q * rows[:, None]
    tiny = torch.finfo(Q.dtype).tiny
    # Constant factors, such as the number of rows, cancel.
    for _ in range(iterations):
        Q /= sum_over_processes(Q.sum(dim=0)).clamp(min=tiny)
        Q /= Q.sum(dim=1, keepdim=True).clamp(min=tiny)
    return Q


def distillation(targets: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """Cross entropy of the student's predictions with the teacher's assignments, row by row.

    Args:
        targets: ``(..., K)``; they need not sum to 1.
        logits: cosines of the student, of the same shape or broadcast to it.
        temperature: of the student.

    Returns:
        ``(...)``.
    """
    return -(targets * (logits.to(targets.dtype) / temperature).log_softmax(dim=-1)).sum(dim=-1)


def koleo(x: Tensor) -> Tensor:
    """Minus the mean logarithm of the distance to the nearest other vector (Sablayrolles et al. 2019; DINOv2).

    The vectors are normalised first; the others are those of all processes. It is smallest for features that are
    spread uniformly over the sphere.

    Args:
        x: ``(N, D)``.
    """
    x = normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1, eps=EPS)
    with torch.autocast(x.device.type, enabled=False):
        everyone = gather_with_gradient(x)
        with torch.no_grad():
            own = own_rows(x)
            similar = (x @ everyone.T).scatter(1, own[:, None], -torch.inf)
            nearest = similar.argmax(dim=1)
        distance = torch.linalg.vector_norm(x - everyone[nearest] + EPS, dim=1)
        return -(distance + EPS).log().mean()
