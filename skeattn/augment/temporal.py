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


class NativeCrop(Augment):
    """Base of the operations that cut a random piece out of the clip at its native length.

    Of n frames, p ~ U(share) and ``L = min(max(floor(n p), min_frames), n)`` frames are kept, from a start uniform in
    ``0 .. n - L``.

    Args:
        share: lowest and highest share p of the clip.
        min_frames: a random piece has at least so many frames, a shorter clip is kept whole.
        num_frames: frames of the result; None: T of the prepared clips.
        kwargs: see :class:`~skeattn.augment.base.Augment`.

    Raises:
        ConfigError: the shares are not (lowest, highest) in (0, 1], or fewer than one frame.
    """

    native = True

    def __init__(self, share: tuple[float, float], min_frames: int, num_frames: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        if not 0 < share[0] <= share[1] <= 1:
            raise ConfigError(f'{name}: share={tuple(share)}: give (lowest, highest), in (0, 1]')
        if min_frames < 1 or (num_frames is not None and num_frames < 1):
            raise ConfigError(f'{name}: min_frames={min_frames}, num_frames={num_frames} must be at least 1')
        self.share, self.min_frames, self.num_frames = (share[0], share[1]), min_frames, num_frames

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        # Lengths differ and are unknown here: draws are shares of them, and the grid those of the piece.
        T = self.num_frames or spec.frames
        share = uniform(*self.share, (count,), generator)
        grid = (torch.arange(T, dtype=torch.float64) + 0.5) / T
        return {'share': share, 'start': uniform(0, 1, (count,), generator), 'grid': grid.expand(count, T)}

    def apply(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        return self.change(x, self._with_all_frames(params), partners)

    def _with_all_frames(self, params: Params) -> Params:
        """The parameters of a draw; a clip that is not changed is kept whole."""
        if 'applies' not in params:
            return params
        return {**params, 'share': torch.where(params['applies'], params['share'], 1)}

    def piece(self, params: Params, frames: Tensor) -> tuple[Tensor, Tensor]:
        """First frame and number of frames of each clip's piece, ``(N,)`` integers."""
        length = (frames * params['share']).long().clamp(min=self.min_frames).minimum(frames)
        return (params['start'] * (frames - length + 1)).long(), length

    def located(self, x: Tensor, params: Params) -> tuple[Tensor, Tensor]:
        """:meth:`piece` in the frames of x; with the parameter ``first`` within a piece that begins there."""
        frames = params.get('frames', torch.full_like(params['share'], x.shape[2], dtype=torch.long))
        start, length = self.piece(params, frames)
        return start + params.get('first', 0), length


@AUGMENTS.register_module()
class CropResize(NativeCrop):
    """A piece of the clip at its native length, resized to T frames (skeleton-contrast, CMD, CTR-GCN, MAMP).

    The L frames of the piece are interpolated linearly at ``(i + 0.5) L / T - 0.5``, clamped to the piece, without
    smoothing. Between a frame in which a joint is seen and one in which it is missing, the nearer one is taken. A clip
    that is not changed (``probability``) is resized whole.

    Args:
        share, min_frames, num_frames, kwargs: see :class:`NativeCrop`.
        place: ``'random'``; ``'centre'``: ``int((1 - p) n / 2)`` frames are left out at each end, whatever
            ``min_frames`` is.
        blend_absent: True, as released: between a frame in which a person is present and one in which it is absent, the
            person shrinks towards the origin. False: the nearer of the two frames is taken.

    Raises:
        ConfigError: as :class:`NativeCrop`, or an unknown place.
    """

    def __init__(
        self,
        share: tuple[float, float] = (0.5, 1.0),
        min_frames: int = 64,
        num_frames: int | None = None,
        place: str = 'random',
        blend_absent: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(share, min_frames, num_frames, **kwargs)
        if place not in ('random', 'centre'):
            raise ConfigError(f'CropResize: place={place!r}; choose "random" or "centre"')
        self.place, self.blend_absent = place, blend_absent

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        """As :meth:`apply`.

        Args:
            x: clips padded to one number of frames.
            params: the draws; ``frames`` ``(N,)``, the frames of each clip, by default all; where joints are missing
                ``seen``, bool ``(N, 1, T, V, M)``, which is also the last channel of x.
            partners: not used.
        """
        start, length = self.located(x, params)
        position = _resized(params['grid'], length)
        solid = params.get('seen')
        if not self.blend_absent:
            present = F.present_frames(x if solid is None else x[:, :-1])
            solid = present if solid is None else solid & present
        return F.frames_at(x, start[:, None] + position, solid)

    def piece(self, params: Params, frames: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`NativeCrop.piece`."""
        if self.place == 'random':
            return super().piece(params, frames)
        start = ((1 - params['share']) * frames / 2).long()
        return start, frames - 2 * start


@AUGMENTS.register_module()
class CropSample(NativeCrop):
    """A piece of the clip at its native length, of which T frames are drawn (SLiM's views).

    Of the L frames of the piece, ``L >= 2 T``: one at random of each of T equal segments; ``T <= L < 2 T``: T
    successive ones with ``L - T`` gaps of one frame at random places; ``L < T``: all, interpolated as by
    :class:`CropResize`. Between a frame in which a joint or person is seen and one in which it is not, the nearer one
    is taken. A clip that is not changed (``probability``) is sampled whole.

    Args:
        share, num_frames, kwargs: see :class:`NativeCrop`.
        min_frames: see :class:`NativeCrop`; None, as released: T, but 8 at least and 16 at most.

    Raises:
        ConfigError: as :class:`NativeCrop`; ``min_frames=None`` without ``num_frames``.
    """

    def __init__(
        self,
        share: tuple[float, float] = (0.5, 1.0),
        num_frames: int | None = None,
        min_frames: int | None = None,
        **kwargs: Any,
    ) -> None:
        if min_frames is None and num_frames is None:
            raise ConfigError('CropSample: min_frames=None follows from num_frames: set num_frames, or min_frames')
        super().__init__(share, max(8, min(16, num_frames or 16)) if min_frames is None else min_frames, num_frames,
                         **kwargs)  # fmt: skip

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        params = super().sample(count, spec, generator)
        within = torch.rand(count, params['grid'].shape[1] + 1, generator=generator, dtype=torch.float64)
        return {**params, 'within': within, 'rank': within.argsort(dim=1).argsort(dim=1)}

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        """See :meth:`CropResize.change`."""
        start, length = self.located(x, params)
        solid, body = params.get('seen'), x[:, :-1] if 'seen' in params else x
        present = F.present_frames(body)
        solid = present if solid is None else solid & present
        return F.frames_at(x, start[:, None] + self.positions(params, length), solid)

    def positions(self, params: Params, length: Tensor) -> Tensor:
        """Which frames of a piece of L ``(N,)`` frames are taken, ``(N, T)``; fractions between two of them."""
        T = params['grid'].shape[1]
        frame, L = torch.arange(T, device=length.device), length[:, None]
        begin, end = frame * L // T, (frame + 1) * L // T
        segments = begin + (params['within'][:, :T] * (end - begin)).long()
        skips = frame + (params['rank'] < L - T).cumsum(dim=1)[:, :T]
        drawn = torch.where(L >= 2 * T, segments, skips).to(params['grid'].dtype)
        return torch.where(L >= T, drawn, _resized(params['grid'], length))


def _resized(grid: Tensor, length: Tensor) -> Tensor:
    """Positions of a regular grid ``(N, T)`` of shares in pieces of ``length`` ``(N,)`` frames."""
    return (grid * length[:, None] - 0.5).clamp(min=0).minimum(length[:, None] - 1)


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

    Missing joints stay as they are and have no part in the others: the weights of the frames in which a joint is seen
    share those of the frames in which it is not.
    """

    reads_marks = True

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
        if 'seen' not in params:
            return F.blend_frames(x, weights)
        body, marks, seen = x[:, :-1], x[:, -1:], params['seen']
        share = F.blend_frames(seen.to(x.dtype), weights) / weights.sum(dim=2).to(x.dtype)[:, None, :, None, None]
        blurred = F.blend_frames(body * seen, weights) / share.where(seen, 1)
        return torch.cat([torch.where(seen, blurred, body), marks], dim=1)
