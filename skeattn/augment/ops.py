"""The registered random operations. ``sample`` draws parameters, ``apply`` uses them; neither does the other's work."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from skeattn.augment import functional as F
from skeattn.errors import ConfigError
from skeattn.registry import AUGMENTS
from skeattn.skeletons import SkeletonLayout

Params = dict[str, Tensor]


@dataclass(frozen=True)
class ClipSpec:
    """What an operation may know of the batch before drawing: T frames, the layout, clips in the global batch."""

    frames: int
    layout: SkeletonLayout
    batch: int


class Augment:
    """Base of the random operations.

    Args:
        per: ``'sample'``: every clip draws its own parameters. ``'batch'``: one draw for the whole batch, as the
            released SkeleMix does.
    """

    def __init__(self, per: str = 'sample') -> None:
        if per not in ('sample', 'batch'):
            raise ConfigError(f'{type(self).__name__}: per={per!r}; choose "sample" or "batch"')
        self.per = per

    def draw(self, spec: ClipSpec, generator: torch.Generator) -> Params:
        """Parameters for every clip of the global batch; each tensor's first axis is ``spec.batch``."""
        if self.per == 'sample':
            return self.sample(spec.batch, spec, generator)
        one = self.sample(1, spec, generator)
        return {name: value.expand(spec.batch, *value.shape[1:]) for name, value in one.items()}

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        """Draw ``count`` parameter sets on the CPU."""
        raise NotImplementedError

    def apply(self, x: Tensor, params: Params, partners: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply parameters to clips ``(N, C, T, V, M)``.

        Args:
            x: this process's clips.
            params: their parameters, on x's device.
            partners: ``offset (N,) -> clips (N, C, T, V, M)``: the clip that stands ``offset`` places later in the
                global batch, wherever it lives.
        """
        raise NotImplementedError


def _integers(low: int, high: Tensor | int, count: int, generator: torch.Generator) -> Tensor:
    """Integers uniform in ``[low, high]``, both ends included; ``high`` may differ per draw."""
    span = torch.as_tensor(high) - low + 1
    return low + (torch.rand(count, generator=generator, dtype=torch.float64) * span).long()


def _range(name: str, value: tuple[int, int]) -> tuple[int, int]:
    low, high = value
    if not 0 < low <= high:
        raise ConfigError(f'{name}={value}: give (lowest, highest), both at least 1')
    return low, high


@AUGMENTS.register_module()
class Crop(Augment):
    """Temporal crop of the normal augmentations: a shift by at most T // ratio frames with mirrored content."""

    def __init__(self, ratio: int = 6, per: str = 'sample') -> None:
        super().__init__(per)
        if ratio < 1:
            raise ConfigError(f'Crop: ratio={ratio} must be at least 1 (frames mirrored at each end: T // ratio)')
        self.ratio = ratio

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        return {'start': _integers(0, 2 * (spec.frames // self.ratio), count, generator)}

    def apply(self, x: Tensor, params: Params, partners: Callable[[Tensor], Tensor]) -> Tensor:
        return F.crop(x, params['start'], x.shape[2] // self.ratio)


@AUGMENTS.register_module()
class Shear(Augment):
    """Random shear: six off-diagonal factors uniform in (-amplitude, amplitude)."""

    def __init__(self, amplitude: float = 0.5, per: str = 'sample') -> None:
        super().__init__(per)
        self.amplitude = amplitude

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        uniform = torch.rand(count, 6, generator=generator, dtype=torch.float64)
        return {'factors': (2 * uniform - 1) * self.amplitude}

    def apply(self, x: Tensor, params: Params, partners: Callable[[Tensor], Tensor]) -> Tensor:
        return F.linear_map(x, F.shear_matrix(params['factors']))


@AUGMENTS.register_module()
class SkeleMix(Augment):
    """Cut-and-paste of body parts from a partner clip (SkeleMixCLR); SkeAttnCLR's data mixing γ.

    Args:
        parts: fewest and most parts pasted, of the layout's parts.
        units: fewest and most units pasted.
        unit_frames: frames of a unit, the encoder's temporal stride.
        per: ``'batch'`` is the release: one shift in 1..N-2, one mask, for all clips.
    """

    def __init__(
        self,
        parts: tuple[int, int] = (3, 4),
        units: tuple[int, int] = (4, 7),
        unit_frames: int = 4,
        per: str = 'sample',
    ) -> None:
        super().__init__(per)
        self.parts = _range('SkeleMix: parts', parts)
        self.units = _range('SkeleMix: units', units)
        self.unit_frames = unit_frames

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        P, units = len(spec.layout.parts), self._units(spec.frames)
        furthest = spec.batch - (1 if self.per == 'sample' else 2)
        if self.parts[1] > P or self.units[1] > units or furthest < 1:
            raise ConfigError(
                f'SkeleMix: parts={self.parts} of {P}, units={self.units} of {units} (T={spec.frames}), '
                f'batch_size={spec.batch}: parts and units must fit the clip, and a partner must exist'
            )
        num_parts = _integers(self.parts[0], self.parts[1], count, generator)
        rank = torch.rand(count, P, generator=generator).argsort(dim=1).argsort(dim=1)
        num_units = _integers(self.units[0], self.units[1], count, generator)
        return {
            'shift': _integers(1, furthest, count, generator),
            'joints': _joints_of(rank < num_parts[:, None], spec.layout),
            'num_units': num_units,
            'first_unit': _integers(0, units - num_units, count, generator),
        }

    def mask(self, params: Params, frames: int) -> Tensor:
        """The pasted cells, bool ``(N, units, V)``: the encoder's map has one row per unit."""
        return F.mix_mask(params['joints'], params['first_unit'], params['num_units'], self._units(frames))

    def apply(self, x: Tensor, params: Params, partners: Callable[[Tensor], Tensor]) -> Tensor:
        return F.paste(x, partners(params['shift']), self.mask(params, x.shape[2]), self.unit_frames)

    def _units(self, frames: int) -> int:
        return -(-frames // self.unit_frames)


def _joints_of(parts: Tensor, layout: SkeletonLayout) -> Tensor:
    """bool ``(N, P)`` choice of parts -> bool ``(N, V)`` choice of joints."""
    joints = torch.zeros(len(parts), layout.num_joints, dtype=torch.bool)
    for column, members in enumerate(layout.parts.values()):
        joints[:, list(members)] = parts[:, column : column + 1]
    return joints
