"""The panels of a clip: every step of a config's pipeline and of its training views."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config

from skeattn.choices import STREAMS
from skeattn.datasets import PackedSet, Pipeline, open_sets, split
from skeattn.datasets.materialise import materialise, materialise_native
from skeattn.datasets.native import NativeClips
from skeattn.datasets.packed import class_name
from skeattn.datasets.skeleton_dataset import split_missing, split_missing_native
from skeattn.errors import ConfigError
from skeattn.registry import MODELS
from skeattn.visualization.clip_steps import Panel, in_stream, pipeline_steps, view_steps

PARTNERS = 7


def find_clip(packed: PackedSet, indices: list[int], clip: str, part: str) -> int:
    """Place in the split of a clip, given by its name or its place.

    Raises:
        ConfigError: no such clip.
    """
    names = packed.table['name'][indices].tolist()
    if clip in names:
        return names.index(clip)
    if clip.isdecimal() and int(clip) < len(names):
        return int(clip)
    if clip in packed.table['name']:
        raise ConfigError(f'--clip {clip}: not a {part} clip; choose the other --split')
    raise ConfigError(f'--clip {clip}: unknown; give a name in {packed.path} or a place in 0..{len(names) - 1}')


def collect(
    cfg: Config,
    clip: str = '0',
    part: str = 'train',
    views: Sequence[str] | None = None,
    streams: Sequence[str] = ('joint',),
    seed: int = 0,
    iteration: int = 0,
) -> tuple[str, PackedSet, list[Panel]]:
    """(title, set, panels) of a clip.

    Args:
        cfg: a resolved config.
        clip: its name, or its place in the part.
        part: ``'train'`` or ``'test'``.
        views: the training views to show; None for all.
        streams: of the panels.
        seed: of the draws of the views.
        iteration: of these draws.

    Raises:
        ConfigError: an unknown clip, view or stream.
    """
    configured = (cfg.model.data_preprocessor.get('views') or {}) if 'model' in cfg else {}
    shown = views or list(configured)
    for option, names, available in (('stream', streams, STREAMS), ('view', shown, configured)):
        if unknown := [name for name in names if name not in available]:
            raise ConfigError(f'--{option} {unknown[0]}: unknown; choose from {", ".join(available) or "none"}')
    packed = open_sets(cfg.dataset.data)
    indices = split(packed, cfg.dataset.split)[part == 'test'].tolist()
    place = find_clip(packed, indices, clip, part)
    i, pipeline = indices[place], Pipeline(cfg.dataset.pipeline)
    name, label = str(packed.table['name'][i]), int(packed.table['label'][i])
    keypoint = packed.clip(i)
    layout = packed.layout_of(i)
    raw = {'layout': layout, 'channels': packed.channels, 'name': name, 'total_frames': keypoint.shape[1]}
    steps = pipeline_steps({**raw, 'keypoint': keypoint}, pipeline)
    panels = []
    for stream in streams:
        panels += [in_stream(panel, stream, layout) for panel in steps]
        if shown:
            marked = pipeline.can_miss(packed)
            batch = np.array([indices[(place + k) % len(indices)] for k in range(1 + PARTNERS)])
            clips = torch.from_numpy(materialise(packed, batch, pipeline, 1, marked))
            clips, missing = split_missing(clips) if marked else (clips, None)
            preprocessor, native = MODELS.build({**cfg.model.data_preprocessor, 'stream': stream}), None
            if preprocessor.reads_native:
                arrays = materialise_native(packed, batch, pipeline.native(), 1, marked)
                crops = NativeClips(*map(torch.from_numpy, arrays))
                if marked:
                    crops, missing = split_missing_native(crops, clips, missing)
                native = crops.padded()
            panels += view_steps(preprocessor, clips, shown, seed, iteration, missing, native)
    return f'{name}: {class_name(packed.classes, label)} ({packed.path}, {part})', packed, panels
