"""A training view before it is passed to the model, and all that is passed."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from skeattn.augment.base import Augment, Params
from skeattn.errors import ConfigError


class Inputs(dict[str, Any]):
    """Views and notes by name; one that a method reads and no view gives is a ConfigError."""

    def __missing__(self, name: str) -> Any:
        hint = f'; there are {", ".join(self)}' if self else ''
        raise ConfigError(f'model.data_preprocessor.views has no {name!r}, which the method reads{hint}')


@dataclass
class View:
    """A training view before it is passed to the model.

    Args:
        clips: joint coordinates ``(B, C, T, V, M)``.
        marked: the last channel of the clips is above 0.5 where a joint was seen.
        native: at their native length, what operations must know of the clips; None otherwise.
        late: operations on the derived stream, with their parameters.
        notes: what operations report of their draws, one row per clip.
        sought: another view lies within this one.
        piece: then, first frame and number of frames of the piece of each clip, ``(N,)``, at native length.
    """

    clips: Tensor
    marked: bool = False
    native: Params | None = None
    late: list[tuple[Augment, Params]] = field(default_factory=list)
    notes: dict[str, Tensor] = field(default_factory=dict)
    sought: bool = False
    piece: tuple[Tensor, Tensor] | None = None

    def frames(self, on: str) -> int:
        """The number of frames that the next operation on joints or on the stream receives."""
        frames = self.clips.shape[2]
        for op, _ in self.late if on == 'stream' else ():
            frames = op.frames_left(frames)
        return frames
