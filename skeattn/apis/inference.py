"""Features of arrays by a network; :func:`~skeattn.apis.encoder.load_encoder` does more with less."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

import skeattn.models  # noqa: F401  registers the components of configs
from skeattn.apis.clips import Preparation, own_layout
from skeattn.engine.build import note_pipeline
from skeattn.errors import ConfigError
from skeattn.evaluation.features import extract_features
from skeattn.skeletons import SkeletonLayout


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
        layout: of the arrays, by default the model's; clips of another one are converted, or read as they are by a
            model that knows joints by name.

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
    own = own_layout(preprocessor, layout)
    clips = Preparation(own, preprocessor.channels, pipeline)(list(keypoints), layout)
    return extract_features(model, clips, batch_size, source, readout).x.numpy()
