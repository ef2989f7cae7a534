"""Operations that combine a clip with another clip of the batch."""

from typing import Any

import torch
from torch import Tensor

from skeattn.augment import functional as F
from skeattn.augment.base import Augment, ClipSpec, Params, Partners, integers
from skeattn.errors import ConfigError
from skeattn.registry import AUGMENTS
from skeattn.skeletons import SkeletonLayout


@AUGMENTS.register_module()
class SkeleMix(Augment):
    """Cut-and-paste of body parts from a partner clip (SkeleMixCLR); SkeAttnCLR's data mixing γ.

    Args:
        parts: lowest and highest number of the layout's parts that are pasted.
        units: lowest and highest number of units that are pasted; fractions are shares of the clip.
        unit_frames: frames per unit, the encoder's temporal stride.
        kwargs: see :class:`~skeattn.augment.base.Augment`; ``per='batch'`` as released: one shift in 1..N-2 and one
            mask for all clips.
    """

    def __init__(
        self,
        parts: tuple[int, int] = (3, 4),
        units: tuple[float, float] = (4, 7),
        unit_frames: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, (low, high) in (('parts', parts), ('units', units)):
            if not 0 < low <= high:
                raise ConfigError(f'SkeleMix: {name}={(low, high)}: give (lowest, highest), both above 0')
        self.parts, self.units, self.unit_frames = tuple(parts), tuple(units), unit_frames

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        P, total = len(spec.layout.parts), self._total(spec.frames)
        low, high = (max(1, round(n * total)) if isinstance(n, float) else n for n in self.units)
        largest_shift = spec.batch - (1 if self.per == 'sample' else 2)
        if self.parts[1] > P or high > total or largest_shift < 1:
            raise ConfigError(
                f'SkeleMix: parts={self.parts} of {P}, units={self.units} of {total} (T={spec.frames}), '
                f'batch_size={spec.batch}: parts and units must fit the clip, and a partner must exist'
            )
        num_parts = integers(self.parts[0], self.parts[1], count, generator)
        rank = torch.rand(count, P, generator=generator).argsort(dim=1).argsort(dim=1)
        num_units = integers(low, high, count, generator)
        return {
            'shift': integers(1, largest_shift, count, generator),
            'joints': _joints_of(rank < num_parts[:, None], spec.layout),
            'num_units': num_units,
            'first_unit': integers(0, total - num_units, count, generator),
        }

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return F.paste(x, partners(params['shift']), self.mask(params, x.shape[2]), self.unit_frames)

    def mask(self, params: Params, frames: int) -> Tensor:
        """The pasted cells, bool ``(N, units, V)``: the encoder's map has one row per unit."""
        return F.mix_mask(params['joints'], params['first_unit'], params['num_units'], self._total(frames))

    def notes(self, params: Params, frames: int) -> Params:
        """``grid``: :meth:`mask`; ``shift``: the partner is that many places later in the global batch."""
        grid = self.mask(params, frames)
        if 'applies' in params:
            grid = grid & params['applies'].view(-1, 1, 1)
        return {'grid': grid, 'shift': params['shift']}

    def _total(self, frames: int) -> int:
        return -(-frames // self.unit_frames)


@AUGMENTS.register_module()
class SkeleAdaIN(Augment):
    """Give a clip's content the statistics of a partner clip, per person and axis (HiCLR).

    One of HiCLR's strong augmentations; its release contains it and never calls it. A person absent in either clip is
    left unchanged.

    Args:
        statistics: mean and deviation over ``'clip'``: all frames and joints, or ``'frame'``: the joints of each frame.
        kwargs: see :class:`~skeattn.augment.base.Augment`.

    Raises:
        ConfigError: unknown ``statistics``; on drawing, a batch without a partner.
    """

    coordinates_only = True

    def __init__(self, statistics: str = 'clip', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if statistics not in ('clip', 'frame'):
            raise ConfigError(f'SkeleAdaIN: statistics={statistics!r}; choose "clip" or "frame"')
        self.statistics = statistics

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        if spec.batch < 2:
            raise ConfigError(f'SkeleAdaIN: batch_size={spec.batch} gives a clip no partner; it must be at least 2')
        return {'shift': integers(1, spec.batch - 1, count, generator)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        over = (2, 3) if self.statistics == 'clip' else (3,)
        return F.adain(x, partners(params['shift']), over)


def _joints_of(parts: Tensor, layout: SkeletonLayout) -> Tensor:
    """Selected parts, bool ``(N, P)`` -> their joints, bool ``(N, V)``."""
    joints = torch.zeros(len(parts), layout.num_joints, dtype=torch.bool)
    for column, members in enumerate(layout.parts.values()):
        joints[:, list(members)] = parts[:, column : column + 1]
    return joints
