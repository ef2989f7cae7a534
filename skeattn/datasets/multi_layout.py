"""The clips of sets of several skeleton layouts, for an encoder that knows joints by name."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from skeattn.channels import AXES
from skeattn.datasets.skeleton_dataset import Batch, SkeletonDataset
from skeattn.datasets.splits import split as split_by
from skeattn.datasets.subsets import labelled_clips
from skeattn.datasets.union import open_sets, sets_with_split
from skeattn.errors import ConfigError, NoClipsError
from skeattn.registry import DATASETS
from skeattn.skeletons import SkeletonLayout


class _Group(SkeletonDataset):
    """Clips of one layout. The union has chosen them: held-out subjects are those of all sets together."""

    def __init__(self, chosen: np.ndarray, *arguments: Any) -> None:
        self._chosen = chosen
        super().__init__(*arguments)

    def _choose(self, *_: Any) -> np.ndarray:
        return self._chosen


def _within(indices: np.ndarray, ends: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """Indices in the union of all sets as indices in the union of some.

    Args:
        indices: of clips of these sets alone.
        ends: of each set in the union of all.
        places: of the sets.
    """
    starts = np.concatenate([[0], ends])
    lengths = np.array([ends[place] - starts[place] for place in places])
    before = np.cumsum(lengths) - lengths
    of_set = np.searchsorted(ends[list(places)], indices, side='right')
    return indices - starts[list(places)][of_set] + before[of_set]


@DATASETS.register_module()
class MultiLayoutDataset(Dataset):
    """The training or test clips of packed sets whose layouts can differ; those of a batch have one layout.

    The sets of one layout are a group, a :class:`SkeletonDataset`, and groups follow each other in the order in which
    ``data`` first has their layouts. All go through the same pipeline, which names joints by their role, ``'root'`` or
    ``'hip'``. A batch also holds ``layout``, the name of its layout. Classes, labels and subjects are those of the
    union of all sets, see :mod:`skeattn.datasets.union`.

    Args:
        data, split, part, pipeline, channels, cache, subset, native, device: see :class:`SkeletonDataset`.
        layout: the layouts whose words the model knows; the data can have others, if their joints have no other words.

    Attributes:
        groups: (N,) int64, the number of each clip's group.
        parts: the groups, each a :class:`SkeletonDataset`.
        labels, names, subjects, classes, channels, part: as of a :class:`SkeletonDataset`.

    Raises:
        NoClipsError, DataError, ConfigError: as of a :class:`SkeletonDataset`.
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        split: str | Sequence[str],
        part: str = 'train',
        pipeline: Mapping[str, Mapping[str, Any] | None] | None = None,
        layout: str | Sequence[str] | None = None,
        channels: Sequence[str] = AXES,
        cache: bool | str = True,
        subset: Mapping[str, Any] | None = None,
        native: bool = False,
        device: str = 'auto',
    ) -> None:
        packed = open_sets(data)
        indices = split_by(packed, split)[1] if part == 'test' else labelled_clips(packed, split, subset)
        if not len(indices):
            raise NoClipsError(f'{packed.path}: split {split!r} leaves no {part} clips')
        sets = sets_with_split(packed, split)
        ends = np.cumsum([len(one) for one, _ in sets])
        number = np.searchsorted(ends, indices, side='right')
        sets_of: dict[SkeletonLayout, list[int]] = {}
        for place in np.unique(number).tolist():
            sets_of.setdefault(sets[place][0].layout, []).append(place)
        rows = [indices[np.isin(number, places)] for places in sets_of.values()]
        self.parts = [
            _Group(
                _within(chosen, ends, places),
                [sets[place][0].path for place in places], [sets[place][1] for place in places],
                part, pipeline, None, channels, cache, None, native, device,
            )
            for places, chosen in zip(sets_of.values(), rows, strict=True)
        ]  # fmt: skip
        order = np.concatenate(rows)
        self.groups = torch.arange(len(rows)).repeat_interleave(torch.tensor([len(group) for group in rows]))
        self.labels = torch.from_numpy(packed.table['label'][order])
        self.names, self.subjects = packed.table['name'][order], packed.table['subject'][order]
        self.classes, self.channels, self.part = packed.classes, packed.channels, part
        self.metainfo = {'classes': list(map(str, self.classes)), 'layout': [one.layout.name for one in self.parts]}
        self._starts = np.cumsum([0, *map(len, rows)]).tolist()
        for one, start in zip(self.parts, self._starts, strict=False):
            one.labels = self.labels[start : start + len(one)]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The batch of clips of one group, see :meth:`SkeletonDataset.__getitems__`, and its ``layout``.

        Raises:
            ConfigError: the clips have several layouts.
        """
        index = torch.as_tensor(indices, dtype=torch.int64)
        group, *others = self.groups[index].unique().tolist()
        if others:
            raise ConfigError(
                'a batch holds clips of several skeleton layouts; keep the sampler GlobalBatchSampler, or divide its '
                'indices by skeattn.datasets.sampler.homogeneous'
            )
        part, start = self.parts[group], self._starts[group]
        batch = part.__getitems__((index - start).tolist())
        return {**batch, 'index': batch['index'] + start, 'layout': part.layout.name}  # type: ignore[dict-item]

    def __getitem__(self, index: int) -> Batch:
        """One clip: the same keys without the batch axis."""
        return {key: value if key == 'layout' else value[0] for key, value in self.__getitems__([index]).items()}

    def reside(self, device: torch.device) -> None:
        """See :meth:`SkeletonDataset.reside`."""
        for part in self.parts:
            part.reside(device)

    @property
    def layout(self) -> SkeletonLayout:
        """The layout of all clips; a ConfigError where there are several."""
        return self._only('one layout').layout

    @property
    def clips(self) -> torch.Tensor:
        """``(N, C, T, V, M)``; a ConfigError where layouts differ."""
        return self._only('one number of joints').clips

    @property
    def missing(self) -> torch.Tensor | None:
        """``(N, T, V, M)`` bool, None where no joint is missing; a ConfigError where layouts differ."""
        return self._only('one number of joints').missing

    def _only(self, what: str) -> SkeletonDataset:
        if len(self.parts) > 1:
            layouts = ', '.join(part.layout.name for part in self.parts)
            raise ConfigError(f'clips of the layouts {layouts} do not have {what}; evaluate one set, test.py --dataset')
        return self.parts[0]
