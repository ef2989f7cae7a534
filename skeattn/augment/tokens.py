"""Random numbers for masked models, whose masks depend on the clip and are therefore made by the model."""

from typing import Any

import torch
from torch import Tensor

from skeattn.augment.base import Augment, ClipSpec, Params, Partners
from skeattn.registry import AUGMENTS


@AUGMENTS.register_module()
class TokenNoise(Augment):
    """A uniform number for each token of each person, from which a model draws its mask (MAMP).

    The clip is unchanged. The operation follows those that change the number of frames.

    Args:
        patch: frames per token, the ``patch`` of the backbone.
        kwargs: see :class:`~skeattn.augment.base.Augment`; ``probability`` has no effect.
    """

    def __init__(self, patch: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patch = patch

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        tokens = -(-spec.frames // self.patch) * spec.layout.num_joints
        return {'uniform': torch.rand(count, spec.persons, tokens, generator=generator)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return x

    def notes(self, params: Params, frames: int) -> Params:
        """``uniform``: ``(N, M, T' V)`` in [0, 1), with ``T' = ceil(T / patch)``; token ``t' V + v`` is joint v."""
        return {'uniform': params['uniform']}
