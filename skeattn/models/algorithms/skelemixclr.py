"""SkeleMixCLR: contrastive learning with spatio-temporal skeleton mixing (Chen et al., 2022)."""

from typing import Any

from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import MomentumContrast, PaperVsRelease
from skeattn.models.losses import l2_normalize
from skeattn.models.processes import partner_rows
from skeattn.registry import MODELS


@MODELS.register_module()
class SkeleMixCLR(MomentumContrast):
    """In a mixed clip the pasted region belongs to the partner, the rest to the host.

    Every view whose name begins with ``mix`` is one mix of the query; several give the "+" variant.

    Args:
        repeats: ``'sum'`` of the regional losses over the mixes, as in the release of the "+" variant; or their
            ``'mean'``.
        region_weight: weight of the regional losses.
        kwargs: see :class:`~skeattn.models.algorithms.base.MomentumContrast`.

    Raises:
        ConfigError: unknown ``repeats``.
    """

    released_temperature = 0.2

    def __init__(self, repeats: str = 'sum', region_weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if repeats not in ('sum', 'mean'):
            raise ConfigError(f'model.repeats={repeats!r}; choose "sum" or "mean"')
        self.repeats, self.region_weight = repeats, region_weight

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``inputs``: views ``query``, ``key`` and ``mix…``, each ``(N, M, C, T, V)``, with SkeleMix's notes."""
        z_q = self.query(inputs['query'])
        mixes = [name for name in inputs if name.startswith('mix') and '.' not in name]
        regions = [self._regions(inputs[mix], inputs[f'{mix}.grid']) for mix in mixes]
        z_k = self.key(inputs['key'])

        L_global = self.contrast(z_q, z_k, self.queue.keys)
        L_region = L_global.new_zeros(())
        for mix, (pasted, context) in zip(mixes, regions, strict=True):
            partner = partner_rows(z_k, inputs[f'{mix}.shift'])
            L_p = self.contrast(pasted, partner, self.queue.keys, context.detach())
            L_c = self.contrast(context, z_k, self.queue.keys, pasted.detach())
            L_region = L_region + (L_p + L_c) / 2
        if self.repeats == 'mean':
            L_region = L_region / len(mixes)
        self.queue.stage(z_k)
        return {'loss': L_global + self.region_weight * L_region, 'L_global': L_global, 'L_region': L_region}

    def _regions(self, mixed: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Unit embeddings of the pasted region and of the rest."""
        F = self.encoder_q.map(mixed)
        rows, backbone = F.values.shape[3], self.encoder_q.backbone
        if rows != grid.shape[1]:
            raise ConfigError(
                f'SkeleMixCLR: {type(backbone).__name__} returns maps of {rows} rows, the mixing grid has '
                f'{grid.shape[1]}; set unit_frames={backbone.temporal_stride}, its temporal stride, in SkeleMix of '
                f'model.data_preprocessor.views'
            )
        pasted, context = (l2_normalize(self.encoder_q.projector(F.region(cells))) for cells in (grid, ~grid))
        return pasted, context

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`~skeattn.models.algorithms.base.Pretraining.paper_vs_release`."""
        origin = {'sum': 'as released for "+"', 'mean': 'as released for the single mix'}
        return {'repeats': (self.repeats, origin[self.repeats]), **super().paper_vs_release()}
