"""One part of a split of a packed set, run through the pipeline once and handed out in whole batches."""

import functools
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import FUNCTIONS
from torch.utils.data import Dataset, get_worker_info

from skeattn.channels import AXES
from skeattn.datasets.cache import cached, key_of
from skeattn.datasets.integrity import folder_of
from skeattn.datasets.materialise import materialise, materialise_native
from skeattn.datasets.missing import present
from skeattn.datasets.native import NativeClips
from skeattn.datasets.packed import PackedSet
from skeattn.datasets.rows import Rows, fits
from skeattn.datasets.splits import PARTS
from skeattn.datasets.splits import split as split_by
from skeattn.datasets.subsets import labelled_clips
from skeattn.datasets.transforms import Pipeline
from skeattn.datasets.union import UnionSet, check_one_layout, open_sets
from skeattn.errors import ConfigError, NoClipsError
from skeattn.registry import DATASETS
from skeattn.renaming import renamed_arguments

Batch = dict[str, torch.Tensor]
CLIPS_WORTH_CACHING = 8000
"""Fewer are prepared in a second."""


@FUNCTIONS.register_module()
def take_whole_batch(batch: Batch) -> Batch:
    """The ``collate_fn`` for a dataset whose ``__getitems__`` returns a whole batch: nothing is left to collate."""
    return batch


@DATASETS.register_module()
class SkeletonDataset(Dataset):
    """The training or test clips of a split, resident in memory as one tensor.

    Args:
        data: folder of the packed set; several are read as one, see :mod:`skeattn.datasets.union`.
        split: name of one of its splits, for example ``'xsub'``; of several sets one name for all, or one per set.
        part: ``'train'`` or ``'test'``.
        pipeline: ``{name: transform config or None}``, the last one ``PackClip``.
        layout: the layout that the model is built for, compared with that of the prepared clips when given.
        channels: the values of a joint that the model is built for, compared with the set's.
        cache: where prepared clips of a large split are kept for the next start: True: ``$SKEATTN_CACHE`` or
            ``.cache`` in the set's folder; a folder; False: nowhere.
        subset: the training clips whose labels may be used, ``dict(fraction=0.01, seed=0)`` or ``dict(per_class=5)``,
            see :func:`~skeattn.datasets.subsets.labelled_clips`; the test clips are always all of them.
        native: keep the training clips at their native length as well, for operations such as ``CropResize``. A config
            needs no such line: the training loader receives it where a view has such an operation.
        device: ``'auto'``: batches are put together on the accelerator that trains or evaluates, where the whole part
            fits into half of its free memory (:meth:`reside`). ``'cpu'``: always in host memory.

    Attributes:
        clips: ``(N, C, T, V, M)`` float32.
        missing: ``(N, T, V, M)`` bool, joints that are still missing after the pipeline; None where there are none.
        native: the training clips after the pipeline without its resampling or padding
            (:meth:`~skeattn.datasets.transforms.Pipeline.native`); None unless asked for.
        labels: (N,) int64 class indices, -1 of an unlabelled clip.
        names: (N,) clip names.
        subjects: (N,) int64, -1 where unknown.
        classes: class names.
        layout: the :class:`~skeattn.skeletons.SkeletonLayout` of the prepared clips.
        channels: what the C values of a joint are.
        part: ``'train'`` or ``'test'``.

    Raises:
        NoClipsError: the part has no clips.
        DataError: the set is missing or damaged, or a clip does not come out of the pipeline finite and in shape.
        ConfigError: unknown split or part, a layout or channels that are not the set's, or a
            pipeline without ``PackClip``.
    """

    @renamed_arguments(protocol='split', split='part')
    def __init__(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        split: str | Sequence[str],
        part: str = 'train',
        pipeline: Mapping[str, Mapping[str, Any] | None] | None = None,
        layout: str | None = None,
        channels: Sequence[str] = AXES,
        cache: bool | str = True,
        subset: Mapping[str, Any] | None = None,
        native: bool = False,
        device: str = 'auto',
    ) -> None:
        if part not in PARTS:
            raise ConfigError(f'part={part!r} is neither "train" nor "test"')
        if device not in ('auto', 'cpu'):
            raise ConfigError(f'dataset.device={device!r}; choose "auto" or "cpu"')
        packed = open_sets(data)
        check_one_layout(packed)
        steps = Pipeline(pipeline or {})
        self.layout = steps.layout_after(packed.layout)
        if layout is not None and layout != self.layout.name:
            raise ConfigError(
                f'layout={layout!r}, but {packed.path} holds skeletons of layout '
                f'{self.layout.name!r}; set layout={self.layout.name!r}, or read another set'
            )
        if tuple(channels) != packed.channels:
            stored = list(packed.channels)
            raise ConfigError(
                f'channels={list(channels)}, but {packed.path} holds {stored}; set channels={stored} in the config'
            )
        indices = self._choose(packed, split, part, subset)
        if not len(indices):
            raise NoClipsError(
                f'{packed.path}: split {split!r} leaves no {part} clips: it can be used for training alone'
            )
        folder = folder_of(packed.path, cache) if len(indices) >= CLIPS_WORTH_CACHING else None
        packed.verify(cache=cache)
        self.part, self.device = part, device
        self._resident: Rows | None = None
        self.channels = packed.channels
        self.classes = packed.classes
        self.labels = torch.from_numpy(packed.table['label'][indices])
        self.names = packed.table['name'][indices]
        self.subjects = packed.table['subject'][indices]
        clips = torch.from_numpy(_prepared(packed, indices, pipeline or {}, steps, folder))
        self.clips, self.missing = split_missing(clips) if steps.can_miss(packed) else (clips, None)
        self.native: NativeClips | None = None
        if native and part == 'train':
            self.native = _native(packed, indices, pipeline or {}, steps, folder)
            if steps.can_miss(packed):
                self.native, self.missing = split_missing_native(self.native, self.clips, self.missing)
        if self.missing is not None:
            share = self.missing.sum() / (self.clips.abs().amax(dim=(1, 3)) > 0).sum().clamp(min=1) / clips.shape[3]
            warnings.warn(
                f'{packed.path}: {100 * share:.2g} % of the joints of the {part} clips are missing after the pipeline; '
                f'fill them with the step dataset.pipeline.fill=dict(type="FillGaps", before="pack")',
                stacklevel=2,
            )
        _warn_of_dropped_persons(packed, indices, part, self.clips.shape[-1])

    def _choose(
        self, packed: PackedSet | UnionSet, split: str | Sequence[str], part: str, subset: Mapping[str, Any] | None
    ) -> np.ndarray:
        """Indices of the clips of the part."""
        return split_by(packed, split)[1] if part == 'test' else labelled_clips(packed, split, subset)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The batch ``inputs (B, C, T, V, M)``, ``labels (B,)``, ``index (B,)`` in the order of the indices.

        Where joints of the split are missing after the pipeline, also ``missing (B, T, V, M)``. With clips at their
        native length, also the entries of :meth:`~skeattn.datasets.native.NativeClips.padded`.
        """
        return self._rows().take(torch.as_tensor(indices, dtype=torch.int64))

    def _rows(self) -> Rows:
        if self._resident is not None and get_worker_info() is None:  # a forked process has no accelerator
            return self._resident
        return Rows(self.clips, self.labels, self.missing, self.native)

    def reside(self, device: torch.device) -> None:
        """Put batches together on an accelerator from now on, if ``device='auto'`` and all clips fit there.

        The attributes remain in host memory. On the CPU nothing changes.
        """
        if self._resident is not None and self._resident.clips.device == device:
            return
        self._resident = None
        rows = self._rows()
        if self.device == 'auto' and device.type != 'cpu' and fits(rows.nbytes, device):
            self._resident = rows.to(device)

    def __getitem__(self, index: int) -> Batch:
        """One clip: the same keys without the batch axis."""
        return {key: value[0] for key, value in self.__getitems__([index]).items()}


def split_missing(clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Clips with a last channel that marks missing joints, as clips and marks ``(N, T, V, M)``, None without any."""
    missing = clips[:, -1] > 0
    return clips[:, :-1], missing if bool(missing.any()) else None


def split_missing_native(
    native: NativeClips, clips: torch.Tensor, missing: torch.Tensor | None
) -> tuple[NativeClips, torch.Tensor | None]:
    """The same for clips at their native length; both they and the prepared clips have marks, or neither.

    Args:
        native: clips whose last channel marks missing joints.
        clips: the prepared clips, ``(N, C, T, V, M)``.
        missing: their marks.
    """
    frames, lost = native.frames[:, :-1], native.frames[:, -1] > 0
    if missing is None and not bool(lost.any()):
        return NativeClips(frames, native.spans), None
    marks = torch.zeros_like(clips[:, 0], dtype=torch.bool) if missing is None else missing
    return NativeClips(frames, native.spans, lost), marks


def _warn_of_dropped_persons(packed: PackedSet, indices: np.ndarray, part: str, packs: int) -> None:
    """Report clips that have more persons than the pipeline packs."""
    slots = packed.table['persons'][indices]
    persons = [present(packed.clip(i)).any(axis=1).sum() for i in indices[slots > packs]]
    left_out = [number - packs for number in persons if number > packs]
    if left_out:
        warnings.warn(
            f'{packed.path}: {len(left_out)} of {len(indices)} {part} clips have more persons than the pipeline packs '
            f'({packs}), and {sum(left_out)} persons are left out; choose them by convert.py --persons, or raise '
            f'dataset.pipeline.pack.num_persons',
            stacklevel=3,
        )


def _prepared(
    packed: PackedSet, indices: np.ndarray, written: Mapping[str, Any], steps: Pipeline, folder: Path | None
) -> np.ndarray:
    key = key_of(packed, indices, written, steps) if folder else None
    if folder is None or key is None:
        return materialise(packed, indices, steps, None, steps.can_miss(packed))
    return cached(folder, key, lambda: materialise(packed, indices, steps, None, steps.can_miss(packed)))


def _native(
    packed: PackedSet, indices: np.ndarray, written: Mapping[str, Any], steps: Pipeline, folder: Path | None
) -> NativeClips:
    @functools.cache
    def prepare() -> tuple[np.ndarray, np.ndarray]:
        return materialise_native(packed, indices, steps.native(), None, steps.can_miss(packed))

    def part(number: int) -> np.ndarray:
        key = key_of(packed, indices, written, steps, f'native {number}') if folder else None
        build = functools.partial(lambda number: prepare()[number], number)
        return build() if folder is None or key is None else cached(folder, key, build)

    return NativeClips(torch.from_numpy(part(0)), torch.from_numpy(part(1)))
