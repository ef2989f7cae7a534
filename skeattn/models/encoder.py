"""Backbone and projector, which form the query encoder and its momentum copy, the key encoder."""

from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.models.backbones.contract import check_backbone
from skeattn.registry import BACKBONES, NECKS


def present_persons(x: Tensor) -> Tensor:
    """Which persons of clips ``(N, M, C, T, V)`` are present, that is, not all zero: bool ``(N, M)``.

    In the motion stream a person who does not move at all is not present either.
    """
    return x.flatten(2).ne(0).any(dim=2)


class FeatureMap(NamedTuple):
    """A backbone's map and the weight of each person in the clip's mean.

    Attributes:
        values: F, ``(N, M', C, T', V')``.
        persons: weights that sum to 1 over a clip's persons, ``(N, M')``.
        pooling: ``'mean'`` over all positions, or over those of the ``'last'`` frame.
        present: the persons that count, bool ``(N, M')``; None if all do, which needs no look at the clips.
    """

    values: Tensor
    persons: Tensor
    pooling: str = 'mean'
    present: Tensor | None = None

    def pool(self, mask: Tensor | None = None) -> Tensor:
        """Mean over positions and persons, ``(N, C)``; with a mask ``(N, M', C, T', V')`` of ``F * mask`` (eq. 6).

        The mean divides by the number of positions, not by the mask's sum, so the salient and the non-salient pooled
        features add up to the global one.
        """
        values = self.values if mask is None else self.values * mask
        values = values if self.pooling == 'mean' else values[:, :, :, -1:]
        # Channels last, as in memory: the gradient of a mean is laid out in the order of its axes.
        return self.over_persons(values.movedim(2, 4).mean(dim=(2, 3)))

    def split(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The pooled map under a mask and under ``1 - mask``, each ``(N, C)`` in the mask's precision (eq. 6).

        Pooling is linear: the second is what the first leaves of the whole map's mean.
        """
        masked = self.pool(mask)
        return masked, self.with_values(self.values.to(mask.dtype)).pool() - masked

    def single(self) -> 'FeatureMap':
        """The map in single precision at least, to be read: half precision would round every mean."""
        return self.with_values(self.values.to(torch.promote_types(self.values.dtype, torch.float32)))

    def with_values(self, values: Tensor) -> 'FeatureMap':
        """The map with other values; ``_replace`` of a named tuple cannot be compiled by every version of torch."""
        return FeatureMap(values, self.persons, self.pooling, self.present)

    def pool_under(self, masks: Tensor) -> Tensor:
        """Every clip's map under every mask, ``(L, N, C)``: in row i and column j :meth:`pool` of clip j with mask i.

        Autocast does not apply: bfloat16 would round the masks, which differ little from each other.

        Args:
            masks: ``(L, M', C, T', V')``, each for all N clips.
        """
        frames = slice(None) if self.pooling == 'mean' else slice(-1, None)
        values, masks = self.values[:, :, :, frames].to(masks.dtype), masks[:, :, :, frames]
        weights = self.persons.to(masks.dtype) / values[0, 0, 0].numel()
        with torch.autocast(masks.device.type, enabled=False):
            return torch.einsum('imctv,jmctv->ijc', masks, values * weights[:, :, None, None, None])

    def region(self, cells: Tensor) -> Tensor:
        """Mean over some positions ``(N, T', V)`` (bool) and persons, ``(N, C)`` (SkeleMixCLR).

        In a map without joint axis (V' = 1) each joint has its frame's feature: a frame's weight is its number of
        selected joints.
        """
        if self.values.shape[4] == 1:
            cells = cells.sum(dim=2, keepdim=True)
        total = (self.values * cells[:, None, None]).sum(dim=(3, 4))
        return self.over_persons(total / cells.sum(dim=(1, 2)).clamp(min=1)[:, None, None])

    def over_persons(self, x: Tensor) -> Tensor:
        """Weighted mean over the persons of ``(N, M', ...)``: ``(N, ...)``."""
        weights = self.persons.reshape(*self.persons.shape, *[1] * (x.ndim - 2))
        return (x * weights.to(x.dtype)).sum(dim=1)


class Encoder(BaseModule):
    """E and g: from clips to feature maps, from pooled features to embeddings.

    Args:
        backbone, projector: configs; the projector's ``in_channels`` follows from the backbone. None for no projector.
        persons: ``'all'`` encodes and averages absent (all-zero) persons, too, as released. ``'present'`` does neither,
            which halves the work on single-person clips of two-person sets. A backbone that reads the persons of a clip
            together always receives all of them.
        pool: ``'mean'`` over all frames (eq. 6) or the ``'last'`` frame, as released with BIGRU.

    Attributes:
        static: encode every person, whoever is present: the work then does not depend on values, as an exported graph
            needs. The features are the same but for rounding.

    Raises:
        ConfigError: unknown ``persons`` or ``pool``, or a backbone that breaks the contract, see
            :func:`~skeattn.models.backbones.contract.check_backbone`.
    """

    static = False

    def __init__(
        self,
        backbone: dict[str, Any],
        projector: dict[str, Any] | None = None,
        persons: str = 'all',
        pool: str = 'mean',
    ) -> None:
        super().__init__()
        if persons not in ('all', 'present'):
            raise ConfigError(f'model.persons={persons!r}; choose "all" or "present"')
        if pool not in ('mean', 'last'):
            raise ConfigError(f'model.pool={pool!r}; choose "mean" or "last"')
        self.persons, self.pool = persons, pool
        self.backbone = BACKBONES.build(backbone)
        if 'layout' not in backbone:
            raise ConfigError('model.backbone.layout is missing; name the layout at the top of the config')
        self.persons_together = check_backbone(self.backbone, backbone['layout'], backbone.get('in_channels', 3))
        width = {'in_channels': self.backbone.out_channels}
        self.projector: Any = None if projector is None else NECKS.build(projector, default_args=width)

    def forward(self, x: Tensor, **options: Any) -> Tensor:
        """Embeddings g(F) ``(N, D)`` of clips, not normalised; see :meth:`map` for the arguments."""
        pooled = self.map(x, **options).pool()
        return pooled if self.projector is None else self.projector(pooled)

    def map(self, x: Tensor, **options: Any) -> FeatureMap:
        """Feature map of clips ``(N, M, C, T, V)``; ``options`` go to the backbone (STGCN: ``edges``, ``joints``)."""
        # The settings come first: on a GPU, to read whether all persons are present waits for all work before it.
        if self.persons == 'all' and (self.persons_together or self.static or not self._alone):
            return self._of_all(self.backbone(x, **options))
        present = present_persons(x)
        if self.persons_together:
            values, present = self.backbone(x, **options), present.any(dim=1, keepdim=True)
        else:
            whole = self.static or bool(present.all())
            values = self.backbone(x, **options) if whole else self._encode_present(x, present, options)
        if self.persons == 'all':
            return self._of_all(values)
        return FeatureMap(values, present / present.sum(dim=1, keepdim=True).clamp(min=1), self.pool, present)

    def _of_all(self, values: Tensor) -> FeatureMap:
        N, M = values.shape[:2]
        return FeatureMap(values, torch.full((N, M), 1 / M, device=values.device), self.pool)

    @property
    def _alone(self) -> bool:
        """Whether a person's map depends on that person alone: no layer of the backbone is in training."""
        return not any(module.training for module in self.backbone.modules())

    def _encode_present(self, x: Tensor, present: Tensor, options: dict[str, Any]) -> Tensor:
        """The map with absent persons at zero or, if they count, at the one map that they all share.

        With fixed BN statistics every all-zero person has the same map, so encoding one of them is exact.
        """
        rows = x[present]
        if self.persons == 'all':
            rows = torch.cat([rows, torch.zeros_like(x[:1, 0])])
        rows = self.backbone(rows.unsqueeze(1), **options).squeeze(1)
        values = rows.new_zeros(*x.shape[:2], *rows.shape[1:])
        if self.persons == 'all':
            rows, absent = rows[:-1], rows[-1]
            values = torch.where(present.view(*x.shape[:2], 1, 1, 1), values, absent)
        return values.index_put((present,), rows)
