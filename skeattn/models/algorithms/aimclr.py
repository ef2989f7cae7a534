"""AimCLR: contrastive learning from extremely augmented skeletons (Guo et al., AAAI 2022)."""

from typing import Any

from torch import Tensor

from skeattn.models.algorithms.base import MomentumContrast, PaperVsRelease
from skeattn.models.losses import follow, l2_normalize, mined_info_nce
from skeattn.registry import MODELS, NECKS


@MODELS.register_module()
class AimCLR(MomentumContrast):
    """An extreme view learns to reproduce the similarities of the normal view to the queue.

    Args:
        attention_drop: config of EADM, which gives a second, harder feature of the extreme view.
        top_k: queue entries that every branch adds to the positives while ``mining`` (MiningHook switches it on).
        kwargs: see :class:`~skeattn.models.algorithms.base.MomentumContrast`.
    """

    mining = False
    released_temperature = 0.07

    def __init__(self, attention_drop: dict[str, Any] | None = None, top_k: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention_drop = NECKS.build({'type': 'AttentionDrop', **(attention_drop or {})})
        self.top_k = top_k

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``inputs``: views ``query``, ``key`` (normal) and ``extreme``, each ``(N, M, C, T, V)``."""
        z = self.query(inputs['query'])
        F_extreme = self.encoder_q.map(inputs['extreme'])
        F_drop = F_extreme.with_values(self.attention_drop(F_extreme.values, F_extreme.present))
        z_extreme, z_drop = (l2_normalize(self.encoder_q.projector(F.pool())) for F in (F_extreme, F_drop))
        z_k = self.key(inputs['key'])

        branches = [self.contrast.logits(branch, z_k, self.queue.keys) for branch in (z, z_extreme, z_drop)]
        L_info = mined_info_nce(branches, self.top_k if self.mining else 0)
        L_d_extreme, L_d_drop = (follow(branches[0], branch) for branch in branches[1:])  # D3M
        self.queue.stage(z_k)
        loss = L_info + (L_d_extreme + L_d_drop) / 2
        return {'loss': loss, 'L_info': L_info, 'L_d_extreme': L_d_extreme, 'L_d_drop': L_d_drop}

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`~skeattn.models.algorithms.base.Pretraining.paper_vs_release`."""
        return {'top_k': (self.top_k, 'as released' if self.top_k == 1 else 'custom'), **super().paper_vs_release()}
