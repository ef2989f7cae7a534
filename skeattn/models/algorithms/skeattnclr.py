"""SkeAttnCLR: part aware contrastive learning (Hua et al., IJCAI 2023)."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import MomentumContrast, PaperVsRelease
from skeattn.models.encoder import FeatureMap
from skeattn.models.joint_names import clips_to_embed
from skeattn.models.losses import l2_normalize
from skeattn.models.processes import gather_rows, own_rows
from skeattn.registry import MODELS, NECKS


@MODELS.register_module()
class SkeAttnCLR(MomentumContrast):
    """Global contrast of two views, and local contrast of salient and non-salient features.

    The mask is computed on the mixed query clip and applied to its own map and, position by position, to the key's.

    Args:
        mhsam: config of the attention mask; ``channels`` follows from the backbone.
        mu: weight of the salient loss, 1 - mu that of the non-salient one (eq. 10). The paper's best is 0.5; the
            release used 1 for NTU-60 joint.
        heads: ``'paper'``: one projector P for global, salient and non-salient features, with its momentum copy on the
            key side. ``'released'``: after the projector three predictors on the query side only.
        predictor: config of the predictors with ``heads='released'``.
        opposite_negative: push q_s from q_ns and vice versa (eq. 8 and 9; off in two rows of Table 7).
        project_mix: also embed the mixed clip globally, as released; this enters no loss but changes the projector's
            BN statistics.
        mask_gradient: let the local losses train the mask and, through the mask, the encoder. False (ours) keeps the
            initial parameters of the mask, so that a clip cannot be identified by its mask.
        negatives: of the local losses. ``'queue'``: the queue's keys, which no mask was applied to (eq. 8, 9).
            ``'matched'`` (ours): the keys of the other clips of the batch under the query's own mask, so that the mask
            does not identify the pair. L_global always uses the queue. With gradient accumulation a batch is one
            micro-batch.
        gather_maps: with ``negatives='matched'`` and several processes, the candidates are the clips of all of them.
            False: each process's clips alone, without communication.
        kwargs: see :class:`MomentumContrast`.

    Raises:
        ConfigError: unknown ``heads`` or ``negatives``, mu outside [0, 1], or a loss without ``matched``.
    """

    released_temperature = 0.2

    def __init__(
        self,
        mhsam: dict[str, Any],
        mu: float = 0.5,
        heads: str = 'paper',
        predictor: dict[str, Any] | None = None,
        opposite_negative: bool = True,
        project_mix: bool = False,
        mask_gradient: bool = True,
        negatives: str = 'queue',
        gather_maps: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if heads not in ('paper', 'released') or not 0 <= mu <= 1:
            raise ConfigError(f'model.heads={heads!r}, model.mu={mu}: heads is "paper" or "released", mu in [0, 1]')
        if negatives not in ('queue', 'matched'):
            raise ConfigError(f'model.negatives={negatives!r}; choose "queue" or "matched"')
        if negatives == 'matched' and not hasattr(self.contrast, 'matched'):
            raise ConfigError(
                f'model.negatives="matched": {type(self.contrast).__name__} has no method matched(query, candidates, '
                f'positive, negative); add it, or set model.loss.type="InfoNCE" or model.negatives="queue"'
            )
        self.mu, self.heads = mu, heads
        self.negatives, self.gather_maps = negatives, gather_maps
        self.opposite_negative, self.project_mix = opposite_negative, project_mix
        self.mask_gradient = mask_gradient
        self.mhsam = NECKS.build(mhsam, default_args={'channels': self.encoder_q.backbone.out_channels})
        self.mhsam.requires_grad_(mask_gradient)
        self.predictors = nn.ModuleDict()
        if heads == 'released':
            width = {'in_channels': self.encoder_q.projector.out_channels}
            for branch in ('z', 's', 'ns'):
                self.predictors[branch] = NECKS.build(dict(predictor or {'type': 'MLP'}), default_args=width)

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``inputs``: views ``query`` x_q, ``key`` x_k and ``mix`` γ(x_q), each ``(N, M, C, T, V)``."""
        F_q = self.encoder_q.map(inputs['query'])
        z_q = self._query(F_q.pool(), 'z')

        F_mix = self.encoder_q.map(inputs['mix'])
        mask_s = self.mhsam(F_mix.values, F_mix.present)
        if not self.mask_gradient:
            mask_s = mask_s.detach()
        if self.project_mix:
            self._query(F_mix.pool(), 'z')
        p_s, p_ns = F_mix.split(mask_s)  # eq. 6
        q_s, q_ns = self._query(p_s, 's'), self._query(p_ns, 'ns')

        with torch.no_grad():  # the key side: same masks, momentum copy of encoder and projector
            F_k = self.encoder_k.map(inputs['key'])
            z_k = self._key(F_k.pool())
            keys = self._local_keys(F_k, mask_s)

        L_global = self.contrast(z_q, z_k, self.queue.keys)  # eq. 1
        L_s, L_ns = self._local_losses((q_s, q_ns), keys)
        loss = L_global + self.mu * L_s + (1 - self.mu) * L_ns  # eq. 10, 11
        self.queue.stage(z_k)
        return {'loss': loss, 'L_global': L_global, 'L_s': L_s, 'L_ns': L_ns}

    def _local_keys(self, F_k: FeatureMap, mask_s: Tensor) -> tuple[Tensor, Tensor]:
        """k_s and k_ns, each ``(N, D)``; with matched negatives those of every candidate j under every mask i."""
        if self.negatives == 'queue':
            p_s, p_ns = F_k.split(mask_s)
            return self._key(p_s), self._key(p_ns)
        values, persons = (gather_rows(x) if self.gather_maps else x for x in (F_k.values, F_k.persons))
        candidates = FeatureMap(values.to(mask_s.dtype), persons, F_k.pooling)
        p_s = candidates.pool_under(mask_s)  # (N, B, C)
        p_ns = candidates.pool() - p_s  # the two masks sum to one
        k_s, k_ns = (self._key(p.flatten(0, 1)).unflatten(0, p.shape[:2]) for p in (p_s, p_ns))
        return k_s, k_ns

    def _local_losses(self, queries: tuple[Tensor, Tensor], keys: tuple[Tensor, Tensor]) -> Iterator[Tensor]:
        """L_s (eq. 8) and L_ns (eq. 9): each query against its keys and, as one more negative, the other query."""
        for query, key, other in zip(queries, keys, reversed(queries), strict=True):
            opposite = other.detach() if self.opposite_negative else None
            if self.negatives == 'queue':
                yield self.contrast(query, key, self.queue.keys, opposite)
            else:
                positive = own_rows(query) if self.gather_maps else torch.arange(len(query), device=query.device)
                yield self.contrast.matched(query, key, positive, opposite)

    def _query(self, pooled: Tensor, branch: str) -> Tensor:
        g = self.encoder_q.projector(pooled)
        return l2_normalize(self.predictors[branch](g) if self.predictors else g)

    def _key(self, pooled: Tensor) -> Tensor:
        return l2_normalize(self.encoder_k.projector(pooled))

    @property
    def predictor(self) -> nn.Module | None:
        """The global branch's predictor, which evaluation reads."""
        return self.predictors['z'] if self.predictors else None

    def salient_mask(self, data: dict[str, Any]) -> Tensor:
        """M_s of a dataset batch, mean over channels, ``(N, M, T', V)``: what the encoder attends to.

        If the encoder reads persons or joints together, they share a value.
        """
        clips = clips_to_embed(self, data)
        F = self.encoder_q.map(clips)
        mask = self.mhsam(F.values, F.present).mean(dim=2)
        return mask.expand(-1, clips.shape[1], -1, clips.shape[4])

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`MomentumContrast.paper_vs_release`."""
        origin = {
            'paper': 'paper: one projector and its momentum copy',
            'released': 'as released: projector and three query-only predictors',
        }
        lam, granularity = getattr(self.mhsam, 'lam', None), getattr(self.mhsam, 'granularity', None)
        return {
            'heads': (self.heads, origin[self.heads]),
            'mu': (self.mu, {0.5: 'paper', 1.0: 'as released for NTU-60 joint'}.get(self.mu, 'custom')),
            'opposite_negative': (self.opposite_negative, 'paper (eq. 8, 9)' if self.opposite_negative else 'ablation'),
            'project_mix': (self.project_mix, 'as released' if self.project_mix else 'omitted: enters no loss'),
            'mhsam.lam': (lam, 'as released; not in the paper' if lam == 2 else 'custom; the release used 2'),
            'mhsam.granularity': (granularity, 'paper' if granularity == 'channel' else 'ours; the paper: channel'),
            'mask_gradient': (self.mask_gradient, 'paper' if self.mask_gradient else 'ours: the mask is not trained'),
            **self._choice_of_negatives(),
            **super().paper_vs_release(),
        }

    def _choice_of_negatives(self) -> PaperVsRelease:
        if self.negatives == 'queue':
            return {'negatives': ('queue', 'paper (eq. 8, 9)')}
        gathered = 'ours: candidates of all processes' if self.gather_maps else 'ours: candidates of one process'
        return {
            'negatives': ('matched', "ours: pooled under the query's mask; the paper: the queue"),
            'gather_maps': (self.gather_maps, gathered),
        }
