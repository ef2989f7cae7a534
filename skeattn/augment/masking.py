"""Operations that leave frames, joints or tokens out, so that a view shows a part of the clip (PSTL, SLiM)."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from skeattn.augment import functional as F
from skeattn.augment.base import Augment, ClipSpec, Params, Partners
from skeattn.errors import ConfigError
from skeattn.registry import AUGMENTS
from skeattn.skeletons import SkeletonLayout

TRIES = 10
"""Tubes in succession that may be refused before a mask ends, as released."""


@AUGMENTS.register_module()
class MotionAttentionTemporalMasking(Augment):
    """Keep random frames among those with little motion: MATM of PSTL (Zhou et al., AAAI 2023).

    The motion of a frame is the mean of the squared differences to the next frame, over coordinates, joints and
    persons; that of the last frame is 0. Of T frames each clip loses the ``d = round(ratio * T)`` with the most motion.
    Of the other T - d, in their order, those at T - 2 d random places are kept.

    Args:
        ratio: share of the frames that are left out for their motion, and again at random.
        absent: False: a joint in the origin, that is, of an absent person or missing, has no motion, so a person who
            appears or disappears does not count as moving. True, as released: it counts.
        per: ``'sample'``: the places are drawn for each clip. ``'batch'``, as released: they are the same in all clips,
            whose frames still differ by their motion.
        on: ``'stream'``, as released: motion and frames of the derived stream. ``'joint'``: the motion stream is then
            derived from frames that were not neighbours.

    Raises:
        ConfigError: as :class:`~skeattn.augment.base.Augment`; on drawing, a ratio that leaves out no frame or all.
    """

    def __init__(self, ratio: float = 0.2, absent: bool = False, per: str = 'sample', on: str = 'joint') -> None:
        super().__init__(per=per, on=on)
        self.ratio, self.absent = ratio, absent

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        left, kept = spec.frames - self.dropped(spec.frames), self.frames_left(spec.frames)
        if not 0 < kept < spec.frames:
            raise ConfigError(
                f'MotionAttentionTemporalMasking: ratio={self.ratio} keeps {kept} of {spec.frames} frames; keep 1 to '
                f'{spec.frames - 2}'
            )
        order = torch.rand(count, left, generator=generator).argsort(dim=1)
        # The number of coordinates as a width: change() must not take a score for motion, and only knows its input.
        return {'places': order[:, :kept].sort(dim=1).values, 'axes': torch.ones(count, spec.coordinates)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        frames = self.frames(x, params)
        return x.gather(2, frames[:, None, :, None, None].expand(-1, x.shape[1], -1, *x.shape[3:]))

    def frames(self, x: Tensor, params: Params) -> Tensor:
        """The frames that are kept, ascending, ``(N, T - 2 d)``."""
        motion = F.frame_motion(x, params['axes'].shape[1], self.absent)
        return F.stillest(motion, x.shape[2] - self.dropped(x.shape[2])).gather(1, params['places'])

    def dropped(self, frames: int) -> int:
        """d, the number of frames left out for their motion."""
        return round(self.ratio * frames)

    def frames_left(self, frames: int) -> int:
        """See :meth:`Augment.frames_left`."""
        return frames - 2 * self.dropped(frames)


@AUGMENTS.register_module()
class CentralSpatialMasking(Augment):
    """Choose joints that the encoder leaves out, central ones more often: CSM of PSTL (Zhou et al., AAAI 2023).

    ``round(ratio * V)`` joints are drawn from a multiset in which a joint stands as often as it has bones. A joint can
    be drawn twice, so the number of joints left out varies. The clip is not changed: joints are removed behind the
    encoder's input normalisation. The joints are the same in the whole batch, as released.

    Args:
        ratio: joints drawn, as a share of the layout's; as released 8 of 25.

    Raises:
        ConfigError: on drawing, no joint is drawn or as many as there are.
    """

    def __init__(self, ratio: float = 8 / 25) -> None:
        super().__init__(per='batch')
        self.ratio = ratio

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        V, multiset = spec.layout.num_joints, by_degree(spec.layout)
        number = round(self.ratio * V)
        if not 0 < number < V:
            raise ConfigError(
                f'CentralSpatialMasking: ratio={self.ratio} draws {number} of {V} joints; draw 1 to {V - 1}'
            )
        drawn = multiset[torch.randperm(len(multiset), generator=generator)[:number]]
        return {'joints': remaining(drawn, V).expand(count, -1)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return x

    def notes(self, params: Params, frames: int) -> Params:
        """``joints``: those that remain, ascending, ``(N, V')``, equal rows; the host knows V' from the shape."""
        return {'joints': params['joints']}


@AUGMENTS.register_module()
class TubeMask(Augment):
    """Mask tokens in tubes: neighbouring joints of one body part over successive patches (SLiM's semantic tubes).

    A clip of T' patches and V joints has ``int(r T' V)`` tokens to mask. A tube is drawn as follows: a part of the
    layout; 1 to all of its joints, w in number, that follow one another in the part; an area ~ U(T', a), where a is the
    number of tokens still to mask, at most ``largest``; ``h = area / w``, rounded, 1 to T' patches; their start. It is
    masked if it adds a token, and not more than are still to mask. Ten refused tubes in succession end the mask.
    Within the global batch r is stratified: each of the clips, in random order, has its own equal part of ``ratio``.
    The clip is unchanged: a model replaces the tokens.

    Args:
        patch: frames per token, the ``patch`` of the backbone.
        ratio: lowest and highest share of the tokens that are masked.
        largest: largest area that is asked for.

    Raises:
        ConfigError: the shares are not (lowest, highest) in (0, 1), or no area.
    """

    def __init__(self, patch: int = 8, ratio: tuple[float, float] = (0.5, 0.9), largest: int = 100) -> None:
        super().__init__()
        if not 0 < ratio[0] <= ratio[1] < 1 or largest < 1 or patch < 1:
            raise ConfigError(
                f'TubeMask: patch={patch}, ratio={tuple(ratio)}, largest={largest}: give shares (lowest, highest) '
                f'in (0, 1), and whole numbers of at least 1'
            )
        self.patch, self.ratio, self.largest = patch, (ratio[0], ratio[1]), largest

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        patches, joints = -(-spec.frames // self.patch), spec.layout.num_joints
        cells, (low, high) = patches * joints, self.ratio
        stratum = torch.rand(count, generator=generator).argsort()
        share = (stratum + torch.rand(count, generator=generator, dtype=torch.float64)) / count
        budget = (cells * (low + (high - low) * share)).long()
        coin = torch.rand(count, generator=generator) < 0.5

        def numbers() -> Iterator[np.ndarray]:
            while True:
                yield from torch.rand(64, count, generator=generator, dtype=torch.float64).numpy()

        groups = [list(members) for members in spec.layout.parts.values()]
        drawn = tubes(budget.numpy(), groups, patches, joints, self.largest, numbers())
        masked = torch.from_numpy(drawn).flatten(1)
        # A fixed number of places, so that no shape depends on the draw.
        places = masked.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, : int(cells * high)]
        return {'masked': masked, 'places': places, 'coin': coin}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return x

    def notes(self, params: Params, frames: int) -> Params:
        """``masked`` bool ``(N, T' V)``; token ``t' V + v`` is joint v of patch t'.

        ``places`` ``(N, K)``: the masked tokens, and others up to K, which is the same in all batches. ``coin``
        ``(N,)`` bool: by which a model gives the mask to one of two views.
        """
        return params


def tubes(
    budget: np.ndarray, groups: list[list[int]], patches: int, joints: int, largest: int, numbers: Iterator[np.ndarray]
) -> np.ndarray:
    """Masks ``(N, T', V)`` of :class:`TubeMask`, all drawn together, one tube of each at a time, in host memory.

    Args:
        budget: tokens to mask, ``(N,)``.
        groups: joints of each body part.
        patches, joints: T' and V.
        largest: see :class:`TubeMask`.
        numbers: rows of numbers in [0, 1), ``(N,)``, five for each tube.
    """
    sizes = np.array([len(group) for group in groups])
    place = np.full((len(groups), joints), -1)  # of a joint in the part, -1 in others
    for row, group in zip(place, groups, strict=True):
        row[group] = range(len(group))
    mask, time = np.zeros((len(budget), patches, joints), dtype=bool), np.arange(patches)
    rest, refused = budget.copy(), np.zeros_like(budget)
    while len(clips := np.flatnonzero((rest > 0) & (refused < TRIES))):
        draws = (next(numbers)[clips] for _ in range(5))
        part = _index(next(draws), len(groups))
        width = 1 + _index(next(draws), sizes[part])
        first = _index(next(draws), sizes[part] - width + 1)[:, None]
        most = np.minimum(rest[clips], largest)
        area = patches + next(draws) * (most - patches)
        height = np.clip(np.round(area / width).astype(int), 1, patches)
        top = _index(next(draws), patches - height + 1)[:, None]
        chosen = (place[part] >= first) & (place[part] < first + width[:, None])
        rows = (time >= top) & (time < top + height[:, None])
        wider = mask[clips] | (rows[:, :, None] & chosen[:, None])
        added = np.count_nonzero(wider, axis=(1, 2)) - (budget - rest)[clips]
        fits = (added > 0) & (added <= most)
        mask[clips[fits]] = wider[fits]
        rest[clips[fits]] -= added[fits]
        refused[clips] = np.where(fits, 0, refused[clips] + 1)
    return mask


def _index(share: np.ndarray, count: np.ndarray | int) -> np.ndarray:
    """Whole numbers below ``count`` from numbers in [0, 1)."""
    return np.asarray(share * count).astype(int)


def by_degree(layout: SkeletonLayout) -> Tensor:
    """The multiset of joints in which a joint stands as often as it has bones, ``(2 V - 2,)``, ascending."""
    return torch.tensor([joint for bone in layout.bones for joint in bone]).sort().values


def remaining(drawn: Tensor, joints: int) -> Tensor:
    """The joints of ``0 .. joints - 1`` that were not drawn, ascending."""
    left = torch.ones(joints, dtype=torch.bool)
    left[drawn] = False
    return left.nonzero().flatten()
