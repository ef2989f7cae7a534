"""The clips of a part, one row each, on one device: where batches are put together."""

from dataclasses import dataclass

import torch
from torch import Tensor

from skeattn.datasets.native import NativeClips

SHARE = 0.5
"""Largest part of an accelerator's free memory that clips take; the rest is the network's."""


@dataclass(frozen=True)
class Rows:
    """Clips with their facts.

    Args:
        clips: ``(N, C, T, V, M)``.
        labels: ``(N,)``.
        missing: ``(N, T, V, M)`` bool; None where no joint is missing.
        native: the clips at their native length; None where nothing reads them.
    """

    clips: Tensor
    labels: Tensor
    missing: Tensor | None = None
    native: NativeClips | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        native = [] if self.native is None else [self.native.frames, self.native.missing]
        tensors = [self.clips, self.labels, self.missing, *native]
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)

    def to(self, device: torch.device) -> 'Rows':
        """The rows on another device."""
        missing, native = self.missing, self.native
        return Rows(
            self.clips.to(device),
            self.labels.to(device),
            None if missing is None else missing.to(device),
            None if native is None else native.to(device),
        )

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """The batch of the clips at ``index`` (int64, on the host), see ``SkeletonDataset.__getitems__``."""
        rows = index.to(self.clips.device, non_blocking=True)
        batch = {'inputs': self.clips[rows], 'labels': self.labels[rows], 'index': rows}
        if self.missing is not None:
            batch['missing'] = self.missing[rows]
        return batch if self.native is None else batch | self.native[index].padded()


def fits(nbytes: int, device: torch.device) -> bool:
    """Whether the accelerator has room for so many bytes beside a network."""
    if device.type == 'mps':  # whose free memory torch does not state
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return nbytes <= SHARE * free
