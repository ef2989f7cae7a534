"""The clips of a data set that have a label: those that banks, probes and accuracies read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from skeattn.datasets.native import NativeClips
from skeattn.errors import NoClipsError


class LabelledClips(Dataset):
    """A view of a data set without the clips whose label is -1; everything else is the data set's.

    Args:
        dataset: such as a :class:`~skeattn.datasets.SkeletonDataset`.
        indices: (N,) int64, the clips that stay.
    """

    def __init__(self, dataset: Any, indices: torch.Tensor) -> None:
        self.dataset, self.indices = dataset, indices
        self.labels = torch.as_tensor(dataset.labels)[indices]
        self.names, self.subjects = (
            np.asarray(dataset.names)[indices.numpy()],
            np.asarray(dataset.subjects)[indices.numpy()],
        )

        if hasattr(dataset, 'groups'):
            self.groups = dataset.groups[indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        return self.dataset.__getitems__(self.indices[list(indices)].tolist())

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]

    @property
    def clips(self) -> torch.Tensor:
        """``(N, C, T, V, M)``."""
        return torch.as_tensor(self.dataset.clips)[self.indices]

    @property
    def missing(self) -> torch.Tensor | None:
        """``(N, T, V, M)`` bool, as in the data set; None where no joint is missing."""
        marks: torch.Tensor | None = self.dataset.missing
        return None if marks is None else marks[self.indices]

    @property
    def native(self) -> NativeClips | None:
        """The clips at their native length, as in the data set; None where it has none."""
        clips: NativeClips | None = getattr(self.dataset, 'native', None)
        return None if clips is None else clips[self.indices]

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # while a copy is restored
            raise AttributeError(name)
        return getattr(self.dataset, name)


def labelled_clips_of(dataset: Any) -> Any:
    """The data set without unlabelled clips; the same object where all have a label.

    Raises:
        NoClipsError: none has a label.
    """
    indices = torch.nonzero(torch.as_tensor(dataset.labels) >= 0)[:, 0]
    if not len(indices):
        part = {'train': 'training', 'test': 'test'}.get(getattr(dataset, 'part', ''), '')
        raise NoClipsError(f'none of the {len(dataset)} {part} clips has a label, such as {dataset.names[0]}')
    return dataset if len(indices) == len(dataset) else LabelledClips(dataset, indices)
