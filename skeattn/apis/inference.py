"""Features of arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

import skeattn.models  # noqa: F401  registers the components of configs
from skeattn.datasets import Pipeline
from skeattn.datasets.materialise import packed_inputs
from skeattn.datasets.missing import anybody, broken_value, mark_missing
from skeattn.datasets.skeleton_dataset import split_missing
from skeattn.engine.build import note_pipeline
from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.features import extract_features
from skeattn.skeletons import SkeletonLayout, get_layout


def embed(
    model: nn.Module,
    keypoints: Sequence[np.ndarray],
    pipeline: Mapping[str, Mapping[str, Any] | None] | None = None,
    source: str = 'backbone',
    batch_size: int = 256,
    readout: str | None = None,
    layout: str | SkeletonLayout | None = None,
) -> np.ndarray:
    """Features of clips given as arrays.

    Args:
        model: from :func:`load_model`.
        keypoints: one array of joint coordinates in metres per clip, ``(T, V, C)`` or ``(M, T, V, C)``. Joints have
            the order of the model's layout, values that of its ``channels``. T may differ between clips. An absent
            person is all zero; undetected joints are NaN, or values that
            :func:`~skeattn.datasets.missing.mark_missing` recognises.
        pipeline: the steps that prepare a clip; by default those of the model's training, which its checkpoint knows.
            Different ones, or clips of a different length, are reported in a line.
        source: ``'backbone'``, ``'projector'`` or ``'predictor'``.
        batch_size: clips per forward pass.
        readout: ``'mean'`` (the default), ``'joints'`` or ``'joints+segments'`` of the backbone's map, see
            :mod:`skeattn.models.readout`.
        layout: of the arrays, for a model that knows joints by name; by default the model's layout.

    Returns:
        ``(N, D)`` float32.

    Raises:
        DataError: a clip has the wrong shape or an infinite coordinate, or no person is present.
        ConfigError: no pipeline, and the model knows none; an unknown readout; no layout for a model of several, or one
            whose joints it does not know.
    """
    if pipeline is None:
        pipeline = (getattr(model, 'trained_on', None) or {}).get('pipeline')
        if pipeline is None:
            raise ConfigError(
                'embed() has no pipeline: the model knows none from a checkpoint; pass cfg.dataset.pipeline'
            )
    note_pipeline(model, pipeline)
    preprocessor: Any = model.data_preprocessor
    named = get_layout(layout) if layout else preprocessor.layout
    clips = _Arrays(keypoints, named, preprocessor.channels, Pipeline(pipeline))
    return extract_features(model, clips, batch_size, source, readout).x.numpy()


class _Arrays:
    """A data set made of arrays, as far as feature extraction reads it."""

    def __init__(
        self,
        keypoints: Sequence[np.ndarray],
        layout: SkeletonLayout,
        channels: tuple[str, ...],
        pipeline: Pipeline,
    ) -> None:
        self.layout, self.channels, self.reads = layout, channels, pipeline.layout_after(layout).name
        self.names = [f'clip {i}' for i in range(len(keypoints))]
        clips = [self._prepare(name, clip, pipeline) for name, clip in zip(self.names, keypoints, strict=True)]
        if not clips:
            raise DataError('embed() received no clips; pass at least one array')
        self.clips, self.missing = split_missing(torch.stack(clips))
        self.labels = self.subjects = torch.full((len(clips),), -1)

    def _prepare(self, name: str, clip: np.ndarray, pipeline: Pipeline) -> torch.Tensor:
        keypoint = np.asarray(clip, dtype=np.float32)
        keypoint = keypoint[None] if keypoint.ndim == 3 else keypoint
        V, C = self.layout.num_joints, len(self.channels)
        if keypoint.ndim != 4 or keypoint.shape[2:] != (V, C) or not keypoint.size:
            raise DataError(
                f'{name} has shape {np.shape(clip)}; layout {self.layout.name!r} needs (T, {V}, {C}) or '
                f'(M, T, {V}, {C})'
            )
        keypoint = mark_missing(keypoint, self.channels, self.layout)
        if fault := broken_value(keypoint, self.channels, self.layout):
            raise DataError(f'{name}: {fault}; give undetected joints NaN coordinates and set absent persons to zero')
        if not anybody(keypoint):
            raise DataError(f'{name}: no person is present, every value is zero or missing; leave the clip out')
        facts = {'layout': self.layout, 'channels': self.channels, 'name': name, 'total_frames': len(keypoint[0])}
        return torch.from_numpy(packed_inputs(pipeline({'keypoint': keypoint, **facts}), name, marked=True))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        rows = list(indices)
        batch: dict[str, Any] = {'inputs': self.clips[rows], 'labels': self.labels[rows], 'layout': self.reads}
        return batch if self.missing is None else {**batch, 'missing': self.missing[rows]}
