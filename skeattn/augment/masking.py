"""Operations that leave frames or joints out, so that a view shows a part of the clip (PSTL)."""

import torch
from torch import Tensor

from skeattn.augment import functional as F
from skeattn.augment.base import Augment, ClipSpec, Params, Partners
from skeattn.errors import ConfigError
from skeattn.registry import AUGMENTS
from skeattn.skeletons import SkeletonLayout


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


def by_degree(layout: SkeletonLayout) -> Tensor:
    """The multiset of joints in which a joint stands as often as it has bones, ``(2 V - 2,)``, ascending."""
    return torch.tensor([joint for bone in layout.bones for joint in bone]).sort().values


def remaining(drawn: Tensor, joints: int) -> Tensor:
    """The joints of ``0 .. joints - 1`` that were not drawn, ascending."""
    left = torch.ones(joints, dtype=torch.bool)
    left[drawn] = False
    return left.nonzero().flatten()
