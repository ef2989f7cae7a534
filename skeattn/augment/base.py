"""The base of every random operation: ``sample`` draws parameters, ``apply`` uses them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.skeletons import SkeletonLayout

Params = dict[str, Tensor]
Partners = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ClipSpec:
    """The properties of a batch that an operation receives before it draws.

    Args:
        frames: T.
        layout: the skeleton.
        batch: number of clips in the global batch.
        coordinates: number of channels that are coordinates, 2 or 3.
        persons: M.
    """

    frames: int
    layout: SkeletonLayout
    batch: int
    coordinates: int = 3
    persons: int = 2


class Augment:
    """Base of the random operations; a subclass implements :meth:`sample` and :meth:`change`.

    Args:
        per: ``'sample'``: one draw per clip. ``'batch'``: one draw for the whole batch, as in the released SkeleMix and
            random mask.
        probability: share of the draws that take effect.
        on: ``'joint'``: the operation receives joint coordinates. ``'stream'``: it receives the stream (motion, bone)
            derived from them, after all operations on joint coordinates.

    Attributes:
        coordinates_only: the operation receives the coordinates of a joint without its score; otherwise it receives
            both, so that they stay together.
        native: the operation receives clips at their native length, ``(N, C, longest, V, M)``, with their number of
            frames as the parameter ``frames``, and brings them to one length, unless ``keeps_length``. It is the first
            of its view, or follows others that keep the length.
        reads_marks: where joints are missing, the operation receives the parameter ``seen``, bool ``(N, 1, T, V, M)``;
            the last channel of the clips says the same, and it has to leave it alone.
        keeps_length: of an operation that is ``native``: the result has the native length as well.

    Raises:
        ConfigError: any other value.
    """

    coordinates_only = False
    native = False
    reads_marks = False
    keeps_length = False

    def __init__(self, per: str = 'sample', probability: float = 1.0, on: str = 'joint') -> None:
        name = type(self).__name__
        if per not in ('sample', 'batch') or on not in ('joint', 'stream'):
            raise ConfigError(f'{name}: per={per!r}, on={on!r}; choose "sample" or "batch", "joint" or "stream"')
        if not 0 <= probability <= 1:
            raise ConfigError(f'{name}: probability={probability!r} must lie in [0, 1]')
        self.per, self.probability, self.on = per, probability, on

    def draw(self, spec: ClipSpec, generator: torch.Generator) -> Params:
        """Parameters for every clip of the global batch; each tensor's first axis is ``spec.batch``."""
        count = spec.batch if self.per == 'sample' else 1
        params = self.sample(count, spec, generator)
        if self.probability < 1:
            params['applies'] = torch.rand(count, generator=generator) < self.probability
        return {name: value.expand(spec.batch, *value.shape[1:]) for name, value in params.items()}

    def apply(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        """Apply drawn parameters to clips.

        Args:
            x: this process's clips ``(N, C, T, V, M)``.
            params: their parameters, on x's device.
            partners: ``offset (N,) -> clips (N, C, T, V, M)``: for each clip the one ``offset`` places later in the
                global batch, from any process.
        """
        changed = self.change(x, params, partners)
        if 'applies' not in params:
            return changed
        return torch.where(params['applies'].view(-1, 1, 1, 1, 1), changed, x)

    def sample(self, count: int, spec: ClipSpec, generator: torch.Generator) -> Params:
        """Draw ``count`` parameter sets on the CPU."""
        raise NotImplementedError

    def change(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        """The operation itself; arguments as in :meth:`apply`."""
        raise NotImplementedError

    def located(self, x: Tensor, params: Params) -> tuple[Tensor, Tensor] | None:
        """First frame and number of frames, ``(N,)``, of what a native operation cuts out of x; None for all of it."""
        return None

    def frames_left(self, frames: int) -> int:
        """The number of frames of the result; an operation on the stream that changes it defines this."""
        return frames

    def notes(self, params: Params, frames: int) -> Params:
        """What a loss needs to know of a draw, one row per clip; it receives each value as ``<view>.<name>``."""
        return {}


def integers(low: int, high: Tensor | int, count: int, generator: torch.Generator) -> Tensor:
    """Integers uniform in ``[low, high]``, both ends included; ``high`` can differ per draw."""
    span = torch.as_tensor(high) - low + 1
    return low + (torch.rand(count, generator=generator, dtype=torch.float64) * span).long()


def uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Numbers uniform in ``(low, high)``, in double precision."""
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
