"""Operations along time."""

from typing import Any

import torch
from torch import Tensor

from skeattn.augment import functional as F
from skeattn.augment.base import Augment, ClipSpec, Params, Partners, integers, uniform
from skeattn.errors import ConfigError
from skeattn.registry import AUGMENTS


@AUGMENTS.register_module()
class Crop(Augment):
    """Temporal crop of the normal augmentations: a shift by at most T // ratio frames, filled by mirroring."""

    def __init__(self, ratio: int = 6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if ratio < 1:
            raise ConfigError(f'Crop: ratio={ratio} must be at least 1 (frames mirrored at each end: T // ratio)')
        self.ratio = ratio

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        return {'start': integers(0, 2 * (spec.frames // self.ratio), count, generator)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return F.crop(x, params['start'], x.shape[2] // self.ratio)


@AUGMENTS.register_module()
class TemporalFlip(Augment):
    """Reverse time (AimCLR's paper; off in its release)."""

    def __init__(self, probability: float = 0.5, **kwargs: Any) -> None:
        super().__init__(probability=probability, **kwargs)

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        return {}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return x.flip(2)


@AUGMENTS.register_module()
class GaussianBlur(Augment):
    """Gaussian filter along time (AimCLR).

    Args:
        taps: length of the kernel in frames, odd.
        sigma: lowest and highest standard deviation in frames; each draw is uniform between them.
        normalise: each frame becomes the weighted mean of the clip's frames around it, so a resting body does not move,
            not even at the ends. False, as released: a weighted sum with peak weight 1 over a clip padded with zeros,
            which scales the clip by up to 5.
        probability, kwargs: see :class:`~skeattn.augment.base.Augment`.
    """

    def __init__(
        self,
        taps: int = 15,
        sigma: tuple[float, float] = (0.1, 2.0),
        normalise: bool = True,
        probability: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(probability=probability, **kwargs)
        if taps < 1 or taps % 2 == 0 or not 0 < sigma[0] <= sigma[1]:
            raise ConfigError(
                f'GaussianBlur: taps={taps}, sigma={sigma}: taps must be odd, sigma (lowest, highest), both above 0'
            )
        self.taps, self.sigma, self.normalise = taps, (sigma[0], sigma[1]), normalise

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        return {'sigma': uniform(*self.sigma, (count,), generator)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        weights = F.blur_weights(params['sigma'], x.shape[2], self.taps)
        if self.normalise:
            weights = weights / weights.sum(dim=2, keepdim=True)
        return F.blend_frames(x, weights)
