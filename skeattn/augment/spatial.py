"""Operations on joints and coordinates. All but noise and the joint mask are the same in every frame."""

import math
from typing import Any

import torch
from torch import Tensor

from skeattn.augment import functional as F
from skeattn.augment.base import Augment, ClipSpec, Params, Partners, integers, uniform
from skeattn.augment.seeding import normal
from skeattn.errors import ConfigError
from skeattn.registry import AUGMENTS
from skeattn.skeletons import SkeletonLayout


@AUGMENTS.register_module()
class Shear(Augment):
    """Random shear: six off-diagonal factors uniform in (-amplitude, amplitude).

    AimCLR draws with amplitude 0.5; skeleton-contrast, CMD, USDRL and PSTL with 1.
    """

    coordinates_only = True

    def __init__(self, amplitude: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.amplitude = amplitude

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        drawn = torch.rand(count, 6, generator=generator, dtype=torch.float64)
        return {'factors': (2 * drawn - 1) * self.amplitude}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return F.linear_map(x, F.shear_matrix(params['factors']))


@AUGMENTS.register_module()
class Rotate(Augment):
    """Rotation about x, then y, then z (AimCLR): a large angle about one random axis, small ones about the others.

    Args:
        main: the angle about the main axis is U(0, main) degrees, never negative.
        other: the angles about the two other axes are U(0, other) degrees.
        kwargs: see :class:`~skeattn.augment.base.Augment`.
    """

    coordinates_only = True

    def __init__(self, main: float = 30.0, other: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.main, self.other = main, other

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        is_main = torch.arange(3) == integers(0, 2, count, generator)[:, None]
        limit = torch.where(is_main, self.main, self.other)
        return {'degrees': limit * torch.rand(count, 3, generator=generator, dtype=torch.float64)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return F.linear_map(x, F.rotation_matrix(params['degrees'].deg2rad()))


@AUGMENTS.register_module()
class RandomRotation(Augment):
    """Rotation about x, then y, then z by three independent angles of either sign (CTR-GCN, MAMP).

    Args:
        degrees: the angle about each axis is U(-degrees, degrees); one limit, or one for each of x, y and z. The
            default is 0.3 radians.
        kwargs: see :class:`~skeattn.augment.base.Augment`.

    Raises:
        ConfigError: a limit is negative.
    """

    coordinates_only = True

    def __init__(self, degrees: float | tuple[float, float, float] = math.degrees(0.3), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.degrees = (degrees,) * 3 if isinstance(degrees, int | float) else tuple(degrees)
        if len(self.degrees) != 3 or min(self.degrees) < 0:
            raise ConfigError(f'RandomRotation: degrees={degrees}: give one limit, or three for x, y, z, none negative')

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        return {'degrees': torch.tensor(self.degrees, dtype=torch.float64) * uniform(-1, 1, (count, 3), generator)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return F.linear_map(x, F.rotation_matrix(params['degrees'].deg2rad()))


@AUGMENTS.register_module()
class JointCorruption(Augment):
    """Set random joints to zero, or multiply their coordinates by a random matrix (skeleton-contrast, CMD, USDRL).

    The joints and the matrix are the same in all frames and for all persons. The matrix multiplies row vectors; its
    nine entries are uniform in (-1, 1).

    Args:
        ratio: share of the joints, rounded to whole joints.
        zero_probability: share of the draws that set the joints to zero.
        kwargs: see :class:`~skeattn.augment.base.Augment`.

    Raises:
        ConfigError: ``zero_probability`` outside [0, 1]; on drawing, no joint or more than all.
    """

    coordinates_only = True

    def __init__(self, ratio: float = 0.6, zero_probability: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= zero_probability <= 1:
            raise ConfigError(f'JointCorruption: zero_probability={zero_probability!r} must lie in [0, 1]')
        self.ratio, self.zero_probability = ratio, zero_probability

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        V = spec.layout.num_joints
        corrupted = round(V * self.ratio)
        if not 0 < corrupted <= V:
            raise ConfigError(
                f'JointCorruption: ratio={self.ratio} corrupts {corrupted} of {V} joints; corrupt 1 to {V}'
            )
        rank = torch.rand(count, V, generator=generator).argsort(dim=1).argsort(dim=1)
        matrix = uniform(-1, 1, (count, 3, 3), generator)
        zero = torch.rand(count, generator=generator) < self.zero_probability
        return {'joints': rank < corrupted, 'matrix': matrix.masked_fill(zero[:, None, None], 0)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        corrupted = F.linear_map(x, params['matrix'].mT)
        return torch.where(params['joints'][:, None, None, :, None], corrupted, x)


@AUGMENTS.register_module()
class ScaleAxes(Augment):
    """Scale each coordinate axis of a clip by its own factor.

    Args:
        factors: lowest and highest factor; each axis draws uniformly between them.
        kwargs: see :class:`~skeattn.augment.base.Augment`.

    Raises:
        ConfigError: the factors are not (lowest, highest), both above 0.
    """

    coordinates_only = True

    def __init__(self, factors: tuple[float, float] = (0.8, 1.2), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = _checked_factors(self, factors)

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        return {'factors': uniform(*self.factors, (count, 3), generator)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return x * params['factors'][:, : x.shape[1], None, None, None].to(x.dtype)


@AUGMENTS.register_module()
class LimbScale(Augment):
    """Lengthen or shorten the bones of each body part, and rebuild the joints from the root (SLiM).

    A part and its mirror image have one factor, so both arms remain equally long. The root keeps its place.

    Args:
        factors: lowest and highest factor; each pair of parts draws uniformly between them.
        kwargs: see :class:`~skeattn.augment.base.Augment`.

    Raises:
        ConfigError: the factors are not (lowest, highest), both above 0.
    """

    coordinates_only = True

    def __init__(self, factors: tuple[float, float] = (0.85, 1.15), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = _checked_factors(self, factors)

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        limb = torch.tensor(_limbs(spec.layout))
        factors = uniform(*self.factors, (count, int(limb.max()) + 1), generator)
        return {'weights': F.bone_scaling(factors[:, limb], spec.layout)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return F.blend_joints(x, params['weights'])


@AUGMENTS.register_module()
class SpatialFlip(Augment):
    """Exchange left and right (AimCLR).

    Args:
        mirror: also mirror the x axis, along which the shoulders of an aligned clip lie. False, as released: joints are
            exchanged without mirroring, so the result is not the pose of a mirrored body.
        probability, kwargs: see :class:`~skeattn.augment.base.Augment`.
    """

    def __init__(self, mirror: bool = True, probability: float = 0.5, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)
        self.mirror = mirror

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        return {'order': torch.tensor(spec.layout.mirrored).expand(count, -1)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return F.spatial_flip(x, params['order'], self.mirror)


@AUGMENTS.register_module()
class AxisMask(Augment):
    """Set one coordinate axis, drawn uniformly, to zero everywhere (AimCLR; HiCLR's channel mask)."""

    coordinates_only = True

    def __init__(self, probability: float = 0.5, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        return {'axis': integers(0, spec.coordinates - 1, count, generator)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        masked = torch.arange(x.shape[1], device=x.device) == params['axis'][:, None]
        return x.masked_fill(masked[:, :, None, None, None], 0)


@AUGMENTS.register_module()
class GaussianNoise(Augment):
    """Independent normal noise on every coordinate of every frame (AimCLR).

    Args:
        std: standard deviation, in the clip's unit.
        absent: True, as released: absent (all-zero) persons receive noise as well. False leaves them absent.
        probability, kwargs: see :class:`~skeattn.augment.base.Augment`.
    """

    coordinates_only = True

    def __init__(self, std: float = 0.01, absent: bool = False, probability: float = 0.5, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)
        if std < 0:
            raise ConfigError(f'GaussianNoise: std={std} must not be negative')
        self.std, self.absent = std, absent

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        # A seed per clip, not the noise: each process then draws noise for its own clips alone. For a batch of
        # 128 clips (3, 64, 25, 2) that takes 3.7 ms on one core against 4.5 ms for one large draw, which every one of
        # several processes would repeat for the whole global batch.
        return {'seed': torch.randint(2**62, (count,), generator=generator)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        moved = x + self.std * self.noise(params['seed'], x)
        return moved if self.absent else torch.where(F.present(x), moved, x)

    def noise(self, seeds: Tensor, like: Tensor) -> Tensor:
        """Standard normal values shaped like ``like``, drawn in single precision, one seed per clip.

        On the CPU they are torch's. Elsewhere its generators would need the seeds on the host and a draw per clip, so
        the values are computed from the seeds on the device, and differ from those of the CPU.
        """
        if like.device.type != 'cpu':
            return normal(seeds, like[0].numel()).view(like.shape).to(like)
        noise, source = torch.empty(like.shape, dtype=torch.float32), torch.Generator()
        for clip, seed in zip(noise, seeds.tolist(), strict=True):
            clip.normal_(generator=source.manual_seed(seed))
        return noise.to(like)


@AUGMENTS.register_module()
class RandomJointMask(Augment):
    """Mask random joints of both persons, drawn separately for each frame (HiCLR).

    HiCLR masks the stream (``on='stream'``), with one draw per batch (``per='batch'``) and a learnt value.

    Args:
        ratio: share of the joints masked per frame: int(V * ratio) joints.
        fill: the value of masked joints. None leaves the clip unchanged and only notes the mask, for a model that
            inserts a learnt value.
        kwargs: see :class:`~skeattn.augment.base.Augment`.
    """

    def __init__(self, ratio: float = 0.1, fill: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio, self.fill = ratio, fill

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        V = spec.layout.num_joints
        masked = int(V * self.ratio)
        if not 0 < masked <= V:
            raise ConfigError(f'RandomJointMask: ratio={self.ratio} masks {masked} of {V} joints; mask 1 to {V}')
        score = torch.rand(count, spec.frames, V, generator=generator)
        mask = torch.zeros_like(score, dtype=torch.bool)
        return {'masked': mask.scatter(2, score.topk(masked).indices, True)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return x if self.fill is None else x.masked_fill(params['masked'][:, None, :, :, None], self.fill)

    def notes(self, params: Params, frames: int) -> Params:
        """``masked``: bool ``(N, T, V)``."""
        masked = params['masked']
        return {'masked': masked & params['applies'][:, None, None] if 'applies' in params else masked}


def _checked_factors(op: Augment, factors: tuple[float, float]) -> tuple[float, float]:
    low, high = factors
    if not 0 < low <= high:
        raise ConfigError(f'{type(op).__name__}: factors={(low, high)}: give (lowest, highest), both above 0')
    return low, high


def _limbs(layout: SkeletonLayout) -> list[int]:
    """For each joint the number of its limb: a part of the layout together with the part that mirrors it."""
    both_sides = [frozenset(members).union(layout.mirrored[j] for j in members) for members in layout.parts.values()]
    limbs = list(dict.fromkeys(both_sides))
    limb_of = {
        j: limbs.index(limb) for members, limb in zip(layout.parts.values(), both_sides, strict=True) for j in members
    }
    return [limb_of[j] for j in range(layout.num_joints)]
