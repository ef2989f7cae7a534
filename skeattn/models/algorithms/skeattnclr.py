"""SkeAttnCLR: part aware contrastive learning (Hua et al., IJCAI 2023)."""

from typing import Any

import torch
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import MomentumContrast, Switches
from skeattn.models.losses import l2_normalize
from skeattn.registry import MODELS, NECKS


@MODELS.register_module()
class SkeAttnCLR(MomentumContrast):
    """Global contrast of two views beside local contrast of salient and non-salient features.

    The mask is computed on the mixed query clip and applied to its own map and, position by position, to the key's.

    Args:
        mhsam: config of the attention mask; ``channels`` follows from the backbone.
        mu: weight of the salient loss, 1 - mu that of the non-salient one (eq. 10). The paper's best is 0.5; the
            release ran NTU-60 joint with 1.
        heads: ``'paper'``: one projector P for global, salient and non-salient features, with its momentum copy on the
            key side. ``'released'``: after the projector three predictors on the query side only.
        predictor: config of the released arrangement's predictors.
        opposite_negative: push q_s from q_ns and back (eq. 8 and 9; off in two rows of Table 7).
        project_mix: also embed the mixed clip globally, which enters no loss but moves the projector's BN statistics;
            the release does.
        mask_gradient: let the local losses train the mask and, through the mask, the encoder. Off, the mask's
            parameters stay as they start, which leaves no mask to identify a clip by; ours.
        kwargs: see :class:`MomentumContrast`.

    Raises:
        ConfigError: unknown ``heads``, or mu outside [0, 1].
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if heads not in ('paper', 'released') or not 0 <= mu <= 1:
            raise ConfigError(f'model.heads={heads!r}, model.mu={mu}: heads is "paper" or "released", mu in [0, 1]')
        self.mu, self.heads = mu, heads
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
        mask_s = self.mhsam(F_mix.values, F_mix.persons > 0)
        if not self.mask_gradient:
            mask_s = mask_s.detach()
        mask_ns = 1 - mask_s
        if self.project_mix:
            self._query(F_mix.pool(), 'z')
        q_s = self._query(F_mix.pool(mask_s), 's')  # eq. 6
        q_ns = self._query(F_mix.pool(mask_ns), 'ns')

        with torch.no_grad():  # the key side: same masks, momentum copy of encoder and projector
            F_k = self.encoder_k.map(inputs['key'])
            z_k, k_s, k_ns = (self._key(F_k.pool(mask)) for mask in (None, mask_s, mask_ns))

        m = self.queue.keys
        opposite_s, opposite_ns = (q_ns.detach(), q_s.detach()) if self.opposite_negative else (None, None)
        L_global = self.contrast(z_q, z_k, m)  # eq. 1
        L_s = self.contrast(q_s, k_s, m, opposite_s)  # eq. 8
        L_ns = self.contrast(q_ns, k_ns, m, opposite_ns)  # eq. 9
        loss = L_global + self.mu * L_s + (1 - self.mu) * L_ns  # eq. 10, 11
        self.queue.stage(z_k)
        return {'loss': loss, 'L_global': L_global, 'L_s': L_s, 'L_ns': L_ns}

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

        Where the encoder reads persons or joints together, they share a value.
        """
        clips = self.data_preprocessor(data, training=False)['inputs']['clip']
        F = self.encoder_q.map(clips)
        mask = self.mhsam(F.values, F.persons > 0).mean(dim=2)
        return mask.expand(-1, clips.shape[1], -1, clips.shape[4])

    def paper_vs_release(self) -> Switches:
        """See :meth:`MomentumContrast.paper_vs_release`."""
        origin = {
            'paper': 'paper: one projector and its momentum copy',
            'released': 'as released: projector and three query-only predictors',
        }
        lam, granularity = getattr(self.mhsam, 'lam', None), getattr(self.mhsam, 'granularity', None)
        return {
            'heads': (self.heads, origin[self.heads]),
            'mu': (self.mu, 'paper' if self.mu == 0.5 else 'as released for NTU-60 joint' if self.mu == 1 else 'own'),
            'opposite_negative': (self.opposite_negative, 'paper (eq. 8, 9)' if self.opposite_negative else 'ablation'),
            'project_mix': (self.project_mix, 'as released' if self.project_mix else 'left out: enters no loss'),
            'mhsam.lam': (lam, 'as released; the paper is silent' if lam == 2 else 'own choice; the release ran 2'),
            'mhsam.granularity': (granularity, 'paper' if granularity == 'channel' else 'ours; the paper: channel'),
            'mask_gradient': (self.mask_gradient, 'paper' if self.mask_gradient else 'ours: it stays as it starts'),
            **super().paper_vs_release(),
        }
