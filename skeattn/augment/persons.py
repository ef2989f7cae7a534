"""Operations on whole clips at their native length: which person is seen, and where its origin is (SLiM)."""

from typing import Any

import torch
from torch import Tensor

from skeattn.augment import functional as F
from skeattn.augment.base import Augment, ClipSpec, Params, Partners
from skeattn.registry import AUGMENTS


@AUGMENTS.register_module()
class PickPerson(Augment):
    """One of the persons who are present in the clip, drawn uniformly; the others are left out (SLiM).

    The clip keeps its native length, so that all views that start from this one show the same person. Absent persons
    are never drawn, and their number has no effect; a clip without anybody stays empty.

    Args:
        per: see :class:`~skeattn.augment.base.Augment`.
    """

    native = True
    keeps_length = True

    def __init__(self, per: str = 'sample') -> None:
        super().__init__(per=per)

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        # The number of coordinates as a width: change() also receives scores, which are not zero in an absent person.
        share = torch.rand(count, generator=generator, dtype=torch.float64)
        return {'share': share, 'axes': torch.ones(count, spec.coordinates)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        present = F.present(x[:, : params['axes'].shape[1]])[:, 0, 0, 0]
        count = present.sum(dim=1)
        place = (params['share'] * count).long()
        person = (present & (present.cumsum(dim=1) == place[:, None] + 1)).to(torch.uint8).argmax(dim=1)
        return x.gather(4, person.view(-1, 1, 1, 1, 1).expand(*x.shape[:4], 1))


@AUGMENTS.register_module()
class CentreFirst(Augment):
    """Move each person's joint in the first frame in which it is present to the origin (SLiM).

    The clip keeps its native length. Frames in which the person is absent stay zero. The step ``Centre`` of the
    pipeline moves all persons by person 0 instead.

    Args:
        joint: name or index of a joint, or ``'root'`` or ``'hip'``.
        kwargs: see :class:`~skeattn.augment.base.Augment`.

    Raises:
        ConfigError: on drawing, the layout has no such joint.
    """

    coordinates_only = True
    native = True
    keeps_length = True

    def __init__(self, joint: str | int = 'hip', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.joint = joint

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        joint = spec.layout.joint(self.joint)
        joints = [joint] if isinstance(joint, int) else list(joint)
        weights = torch.zeros(spec.layout.num_joints)
        weights[joints] = 1 / len(joints)
        return {'reference': weights.expand(count, -1)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        present = F.present_frames(x)
        centre = torch.einsum('nctvm,nv->nctm', x, params['reference'].to(x.dtype))[:, :, :, None]
        first = present.to(torch.uint8).argmax(dim=2, keepdim=True)
        origin = centre.gather(2, first.expand(-1, x.shape[1], -1, -1, -1))
        return torch.where(present, x - origin, x)
