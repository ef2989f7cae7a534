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
class CropResize(Augment):
    """A piece of the clip at its native length, resized to T frames (skeleton-contrast, CMD, CTR-GCN, MAMP).

    Of n frames, p ~ U(share) and ``L = min(max(floor(n p), min_frames), n)`` frames are kept, from a start uniform in
    ``0 .. n - L``. They are interpolated linearly at ``(i + 0.5) L / T - 0.5``, clamped to the piece, without
    smoothing. Between a frame in which a joint is seen and one in which it is missing, the nearer one is taken. A clip
    that is not changed (``probability``) is resized whole.

    Args:
        share: lowest and highest share p of the clip.
        min_frames: a random piece has at least so many frames, a shorter clip is kept whole.
        num_frames: frames of the result; None: T of the prepared clips.
        place: ``'random'``; ``'centre'``: ``int((1 - p) n / 2)`` frames are left out at each end, whatever
            ``min_frames`` is.
        blend_absent: True, as released: between a frame in which a person is present and one in which it is absent, the
            person shrinks towards the origin. False: the nearer of the two frames is taken.
        kwargs: see :class:`~skeattn.augment.base.Augment`.

    Raises:
        ConfigError: the shares are not (lowest, highest) in (0, 1], fewer than one frame, or an unknown place.
    """

    native = True

    def __init__(
        self,
        share: tuple[float, float] = (0.5, 1.0),
        min_frames: int = 64,
        num_frames: int | None = None,
        place: str = 'random',
        blend_absent: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < share[0] <= share[1] <= 1:
            raise ConfigError(f'CropResize: share={tuple(share)}: give (lowest, highest), in (0, 1]')
        if min_frames < 1 or (num_frames is not None and num_frames < 1):
            raise ConfigError(f'CropResize: min_frames={min_frames}, num_frames={num_frames} must be at least 1')
        if place not in ('random', 'centre'):
            raise ConfigError(f'CropResize: place={place!r}; choose "random" or "centre"')
        self.share, self.min_frames, self.num_frames = (share[0], share[1]), min_frames, num_frames
        self.place, self.blend_absent = place, blend_absent

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        # Lengths differ and are unknown here: draws are shares of them, and the grid those of the piece.
        T = self.num_frames or spec.frames
        share = uniform(*self.share, (count,), generator)
        grid = (torch.arange(T, dtype=torch.float64) + 0.5) / T
        return {'share': share, 'start': uniform(0, 1, (count,), generator), 'grid': grid.expand(count, T)}

    def apply(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        share = params['share']
        if 'applies' in params:
            share = torch.where(params['applies'], share, 1)
        return self.change(x, {**params, 'share': share}, partners)

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        """As :meth:`apply`.

        Args:
            x: clips padded to one number of frames.
            params: the draws; ``frames`` ``(N,)``, the frames of each clip, by default all; where joints are missing
                ``seen``, bool ``(N, 1, T, V, M)``, which is also the last channel of x.
            partners: not used.
        """
        frames = params.get('frames', torch.full_like(params['share'], x.shape[2], dtype=torch.long))
        start, length = self.piece(params, frames)
        position = (params['grid'] * length[:, None] - 0.5).clamp(min=0).minimum(length[:, None] - 1)
        solid = params.get('seen')
        if not self.blend_absent:
            body = x if solid is None else x[:, :-1]
            present = body.abs().amax(dim=(1, 3), keepdim=True) > 0
            solid = present if solid is None else solid & present
        return F.frames_at(x, start[:, None] + position, solid)

    def piece(self, params: Params, frames: Tensor) -> tuple[Tensor, Tensor]:
        """First frame and number of frames of each clip's piece, ``(N,)`` integers."""
        share = params['share']
        if self.place == 'centre':
            start = ((1 - share) * frames / 2).long()
            return start, frames - 2 * start
        length = (frames * share).long().clamp(min=self.min_frames).minimum(frames)
        return (params['start'] * (frames - length + 1)).long(), length


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
