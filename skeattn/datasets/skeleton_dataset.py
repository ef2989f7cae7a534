"""One split of a packed set, run through the pipeline once and handed out in whole batches."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import FUNCTIONS
from torch.utils.data import Dataset

from skeattn.channels import AXES
from skeattn.datasets.packed import PackedSet
from skeattn.datasets.protocols import split as split_by
from skeattn.datasets.transforms import Pipeline
from skeattn.errors import ConfigError, DataError
from skeattn.progress import progress
from skeattn.registry import DATASETS

Batch = dict[str, torch.Tensor]


@FUNCTIONS.register_module()
def take_whole_batch(batch: Batch) -> Batch:
    """The ``collate_fn`` for a dataset whose ``__getitems__`` returns a whole batch: nothing is left to collate."""
    return batch


@DATASETS.register_module()
class SkeletonDataset(Dataset):
    """The training or test clips of a protocol, resident in memory as one tensor.

    Args:
        data: folder of the packed set.
        protocol: name of a split in its manifest, for example ``'xsub'``.
        split: ``'train'`` or ``'test'``.
        pipeline: ``{name: transform config or None}``, the last one ``PackClip``.
        layout: the layout that the model is built for, compared with the set's when given.
        channels: the values of a joint that the model is built for, compared with the set's.

    Attributes:
        clips: ``(N, C, T, V, M)`` float32.
        labels: (N,) int64 class indices.
        names: (N,) clip names.
        subjects: (N,) int64, -1 where unknown.
        classes: class names.
        layout: the :class:`~skeattn.skeletons.SkeletonLayout`.
        channels: what the C values of a joint are.
        split: ``'train'`` or ``'test'``.

    Raises:
        DataError: the set is missing or damaged, or a clip does not come out of the pipeline finite and in shape.
        ConfigError: unknown protocol or split, a layout or channels that are not the set's, or a
            pipeline without ``PackClip``.
    """

    def __init__(
        self,
        data: str | os.PathLike[str],
        protocol: str,
        split: str = 'train',
        pipeline: Mapping[str, Mapping[str, Any] | None] | None = None,
        layout: str | None = None,
        channels: Sequence[str] = AXES,
    ) -> None:
        if split not in ('train', 'test'):
            raise ConfigError(f'split={split!r} is neither "train" nor "test"')
        packed = PackedSet.open(data)
        if layout is not None and layout != packed.layout.name:
            raise ConfigError(
                f'layout={layout!r}, but {packed.path} holds skeletons of layout '
                f'{packed.layout.name!r}; set layout={packed.layout.name!r}, or read another set'
            )
        if tuple(channels) != packed.channels:
            found, asked = list(packed.channels), list(channels)
            raise ConfigError(f'channels={asked}, but {packed.path} holds {found}; set channels={found} in the config')
        chosen = split_by(packed, protocol)[split == 'test']
        steps = Pipeline(pipeline or {})
        packed.verify()
        self.split = split
        self.layout = packed.layout
        self.channels = packed.channels
        self.classes = packed.classes
        self.labels = torch.from_numpy(packed.table['label'][chosen])
        self.names = packed.table['name'][chosen]
        self.subjects = packed.table['subject'][chosen]
        self.clips = _materialise(packed, chosen, steps)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The batch ``inputs (B, C, T, V, M)``, ``labels (B,)``, ``index (B,)`` in the order asked for."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        return {'inputs': self.clips[index], 'labels': self.labels[index], 'index': index}

    def __getitem__(self, index: int) -> Batch:
        """One clip: the same keys without the batch axis."""
        return {key: value[0] for key, value in self.__getitems__([index]).items()}


def _materialise(packed: PackedSet, chosen: np.ndarray, pipeline: Pipeline) -> torch.Tensor:
    clips = torch.empty(0)
    for row, i in enumerate(progress(chosen, f'preparing clips of {packed.path}')):
        inputs = _run(packed, int(i), pipeline)
        if row == 0:
            clips = torch.empty(len(chosen), *inputs.shape)
        elif inputs.shape != clips.shape[1:]:
            raise DataError(
                f'{packed.table["name"][i]}: shape {inputs.shape} after the pipeline, the clips before have '
                f'{tuple(clips.shape[1:])}; a Resample or PadFrames step brings all to the same number of frames'
            )
        clips[row] = torch.from_numpy(inputs)
    return clips


def _run(packed: PackedSet, i: int, pipeline: Pipeline) -> np.ndarray:
    keypoint, name = packed.clip(i), str(packed.table['name'][i])
    known = {'layout': packed.layout, 'channels': packed.channels, 'name': name, 'total_frames': keypoint.shape[1]}
    clip = pipeline({'keypoint': keypoint, **known})
    if 'inputs' not in clip:
        raise ConfigError('the pipeline must end with a PackClip step: pack=dict(type="PackClip", num_persons=...)')
    inputs: np.ndarray = clip['inputs']
    if not np.isfinite(inputs).all():
        raise DataError(f'{name}: NaN or infinite coordinate after the pipeline (packed set {packed.path})')
    return inputs
