"""SkeletonCLR, AimCLR and SkeAttnCLR, and their training step, in the style of the released code.

Keys are enqueued in the forward pass, the key encoder moves parameter by parameter, and every logged value is read in
every step.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skeattn.benchmark.reference.network import MLP, STGCN, Neck, pooled


class Contrast(nn.Module):
    """What the methods share: two encoders, queues of keys ``(D, K)``, logits over them.

    Args:
        encoder: the query encoder; the key encoder is a copy.
        queues: names of the queues, each ``queue<suffix>`` with its pointer ``queue_ptr<suffix>``.
        embedding: D.
        size: K, a multiple of the batch size.
        temperature: tau.
        momentum: of the key encoder in the next step.
    """

    encoder_q: Any
    encoder_k: Any

    def __init__(
        self,
        encoder: nn.Module,
        queues: tuple[str, ...],
        embedding: int,
        size: int,
        temperature: float,
        momentum: float,
    ) -> None:
        super().__init__()
        self.temperature, self.momentum = temperature, momentum
        for suffix in queues:
            self.register_buffer(f'queue{suffix}', normalize(torch.randn(embedding, size), dim=0))
            self.register_buffer(f'queue_ptr{suffix}', torch.zeros(1, dtype=torch.long))
        self.encoder_q, self.encoder_k = encoder, copy.deepcopy(encoder).requires_grad_(False)

    def logits(self, query: Tensor, key: Tensor, suffix: str, opposite: Tensor | None = None) -> Tensor:
        """``[q.k | q.queue | q.opposite] / tau``, ``(N, 1 + K (+ 1))``."""
        queue = getattr(self, f'queue{suffix}').clone().detach()
        parts = [torch.einsum('nc,nc->n', query, key).unsqueeze(1), torch.einsum('nc,ck->nk', query, queue)]
        if opposite is not None:
            parts.append(torch.einsum('nc,nc->n', query, opposite.detach()).unsqueeze(1))
        return torch.cat(parts, dim=1) / self.temperature

    @torch.no_grad()
    def enqueue(self, keys: Tensor, suffix: str) -> None:
        """Write keys ``(N, D)`` and advance the pointer."""
        queue, pointer = getattr(self, f'queue{suffix}'), getattr(self, f'queue_ptr{suffix}')
        first = int(pointer)
        queue[:, first : first + len(keys)] = keys.T
        pointer[0] = (first + len(keys)) % queue.shape[1]

    def after_step(self) -> None:
        """Called after the optimiser step."""


class SkeletonCLR(Contrast):
    """One view against the keys of another; the key encoder moves before the keys are computed."""

    def __init__(
        self,
        width: int = 16,
        channels: int = 256,
        embedding: int = 128,
        queue: int = 32768,
        temperature: float = 0.07,
        momentum: float = 0.999,
        dropout: float = 0.5,
    ) -> None:
        head = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, embedding))
        encoder = STGCN(head, width, channels, 'spatial', dropout)
        super().__init__(encoder, ('',), embedding, queue, temperature, momentum)

    @torch.no_grad()
    def key(self, x: Tensor) -> Tensor:
        """Move the key encoder, then encode clips ``(N, C, T, V, M)``."""
        for k, q in zip(self.encoder_k.parameters(), self.encoder_q.parameters(), strict=True):
            k.data = k.data * self.momentum + q.data * (1 - self.momentum)
        return normalize(self.encoder_k(x), dim=1)

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses of the views ``query`` and ``key``, each ``(N, C, T, V, M)``."""
        q = normalize(self.encoder_q(views['query']), dim=1)
        k = self.key(views['key'])
        logits = self.logits(q, k, '')
        self.enqueue(k, '')
        return {'loss': nn.functional.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))}


class AimCLR(SkeletonCLR):
    """A third, extreme view, once more with its most attended features dropped, follows the first.

    Attributes:
        top_k: queue entries that each of the three adds to the positives; 0 before the mining begins.
    """

    threshold, e_lambda, top_k = 0.7, 1e-4, 0

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses of the views ``query``, ``key`` and ``extreme``."""
        persons = views['query'].shape[4]
        q = normalize(self.encoder_q(views['query']), dim=1)
        maps = self.encoder_q.map(views['extreme'])
        extreme, dropped = (
            normalize(self.encoder_q.fc(pooled(each, persons)), dim=1) for each in (maps, self.drop(maps))
        )
        k = self.key(views['key'])
        logits, *others = (self.logits(each, k, '') for each in (q, extreme, dropped))
        self.enqueue(k, '')
        target = torch.softmax(logits, dim=1).detach()
        positive = torch.zeros_like(logits)
        positive[:, 0] = 1
        for each in (logits, *others):
            positive.scatter_(1, 1 + each[:, 1:].topk(self.top_k, dim=1).indices, 1)
        first = -((positive * torch.log_softmax(logits, dim=1)).sum(dim=1) / positive.sum(dim=1)).mean()
        follow = [-(target * torch.log(torch.softmax(other, dim=1))).sum(dim=1).mean() for other in others]
        losses = {'L_info': first, 'L_d_extreme': follow[0], 'L_d_drop': follow[1]}
        return {'loss': first + (follow[0] + follow[1]) / 2, **losses}

    def drop(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, T, V)`` without the joints, then the elements, of the highest inverse energy."""
        with torch.no_grad():
            distance = (x - x.mean(dim=(2, 3), keepdim=True)) ** 2
            variance = distance.sum(dim=(2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
            attention = torch.sigmoid(distance / (4 * (variance + self.e_lambda)) + 0.5)
            joints = (attention.mean(dim=(1, 2)) < self.threshold).to(x.dtype)
            elements = (attention < self.threshold).to(x.dtype)
        x = x * joints[:, None, None, :] * (joints.numel() / joints.sum())
        return x * elements * (elements.numel() / elements.sum())


class Encoder(nn.Module):
    """SkeAttnCLR's encoder: backbone, whose class scores are computed and not used, and neck."""

    def __init__(self, backbone: STGCN, neck: Neck) -> None:
        super().__init__()
        self.backbone, self.neck = backbone, neck

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Clips ``(N, C, T, V, M)`` -> maps ``(N * M, D, T', V)``, projected global feature ``(N, D')``."""
        maps = self.backbone.map(x)
        mean = pooled(maps, x.shape[4])
        self.backbone.fc(mean)
        return maps, self.neck.proj(mean)


class SkeAttnCLR(Contrast):
    """Global contrast, and local contrast under the mask of the mixed clip; three predictors, three queues."""

    def __init__(
        self,
        width: int = 64,
        channels: int = 256,
        embedding: int = 128,
        queue: int = 32768,
        temperature: float = 0.2,
        momentum: float = 0.996,
        dropout: float = 0.5,
        mu: float = 0.5,
        heads: int = 8,
        lam: float = 2.0,
        classes: int = 60,
    ) -> None:
        backbone = STGCN(nn.Linear(channels, classes), width, channels, 'agcn', dropout)
        encoder = Encoder(backbone, Neck(channels, embedding, heads, lam))
        super().__init__(encoder, ('_z', '_s', '_ns'), embedding, queue, temperature, momentum)
        self.mu = mu
        self.predictor = MLP(embedding, channels, embedding)
        self.predictor_s = MLP(embedding, channels, embedding)
        self.predictor_ns = MLP(embedding, channels, embedding)

    def forward(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses of the views ``query``, ``key`` and ``mix``, each ``(N, C, T, V, M)``."""
        persons = views['query'].shape[4]
        z = normalize(self.predictor(self.encoder_q(views['query'])[1]), dim=1)
        maps, mixed = self.encoder_q(views['mix'])
        normalize(self.predictor(mixed), dim=1)  # enters no loss, as released
        mask = self.encoder_q.neck.mask(maps)
        salient, other = self.encoder_q.neck.regions(maps, mask, persons)
        s, ns = normalize(self.predictor_s(salient), dim=1), normalize(self.predictor_ns(other), dim=1)
        with torch.no_grad():
            maps, key = self.encoder_k(views['key'])
            regions = self.encoder_k.neck.regions(maps, mask, persons)
            k, k_s, k_ns = (normalize(x, dim=1) for x in (key, *regions))
        logits = self.logits(z, k, '_z'), self.logits(s, k_s, '_z', ns), self.logits(ns, k_ns, '_z', s)
        for keys, suffix in ((k, '_z'), (k_s, '_s'), (k_ns, '_ns')):
            self.enqueue(keys, suffix)
        losses = [-torch.log(torch.softmax(each, dim=1)[:, 0]).mean() for each in logits]
        total = losses[0] + self.mu * losses[1] + (1 - self.mu) * losses[2]
        return {'loss': total, 'L_global': losses[0], 'L_s': losses[1], 'L_ns': losses[2]}

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the key encoder, buffers too, entry by entry of two state dicts."""
        query, key = self.encoder_q.state_dict(), self.encoder_k.state_dict()
        for name, value in query.items():
            moved = self.momentum * key[name] + (1 - self.momentum) * value if value.is_floating_point() else value
            key[name].copy_(moved)


METHODS: dict[str, Callable[..., Contrast]] = {'SkeletonCLR': SkeletonCLR, 'AimCLR': AimCLR, 'SkeAttnCLR': SkeAttnCLR}


def sgd(model: Contrast, lr: float = 0.1, weight_decay: float = 1e-4) -> torch.optim.SGD:
    """SGD over all parameters, those of the frozen key encoder as well, as released."""
    return torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=weight_decay)


def train_step(
    model: Contrast,
    optimizer: torch.optim.Optimizer,
    views: Mapping[str, Tensor],
    forward: AbstractContextManager[object] | None = None,
) -> dict[str, float]:
    """One training step; returns the logged values.

    Args:
        model: one of :data:`METHODS`.
        optimizer: see :func:`sgd`.
        views: what the model reads, each ``(N, C, T, V, M)``.
        forward: context of the forward pass, such as autocast.
    """
    with forward or nullcontext():
        losses = model(views)
    optimizer.zero_grad()
    losses['loss'].backward()
    optimizer.step()
    model.after_step()
    return {name: value.item() for name, value in losses.items()}
