"""Clips of different lengths in one tensor, handed out as padded batches."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NativeClips:
    """Clips at their native length.

    Args:
        frames: the frames of all clips, ``(F, C, V, M)``.
        spans: first frame and number of frames of each clip, ``(N, 2)``, in host memory.
        missing: joints that are missing, ``(F, V, M)`` bool; None where there are none.
    """

    frames: Tensor
    spans: Tensor
    missing: Tensor | None = None

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, index: Tensor) -> 'NativeClips':
        """Some of the clips; their frames are not copied."""
        return NativeClips(self.frames, self.spans[index], self.missing)

    def to(self, device: torch.device) -> 'NativeClips':
        """The frames on another device."""
        missing = None if self.missing is None else self.missing.to(device)
        return NativeClips(self.frames.to(device), self.spans, missing)

    def padded(self) -> dict[str, Tensor]:
        """All clips as the entries of a batch.

        Returns:
            ``native`` ``(N, C, longest, V, M)``, zero behind the last frame of a clip; ``frames`` ``(N,)`` its length;
            where joints are missing also ``native_missing`` ``(N, longest, V, M)``.
        """
        start, length = self.spans[:, :1], self.spans[:, 1:]
        frame = torch.arange(int(length.max()))
        rows, behind = (
            x.to(self.frames.device, non_blocking=True) for x in (start + frame.minimum(length - 1), frame >= length)
        )

        def padded(values: Tensor) -> Tensor:
            return values[rows].masked_fill(behind.view(*behind.shape, *[1] * (values.ndim - 1)), 0)

        batch = {'native': padded(self.frames).transpose(1, 2), 'frames': self.spans[:, 1]}
        return batch if self.missing is None else {**batch, 'native_missing': padded(self.missing)}


def at_full_length(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """A batch whose clips stand for those at native length too, unless it holds them.

    Where only the shapes of the views count, as in measurements of cost.
    """
    clips = batch['inputs']
    native = {'native': clips, 'frames': torch.full((len(clips),), clips.shape[2], device=clips.device)}
    marks = {'native_missing': batch['missing']} if 'missing' in batch else {}
    return {**native, **marks, **batch}
