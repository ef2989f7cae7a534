"""A clip before and after every processing step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skeattn.augment.base import Augment, Params, Partners
from skeattn.augment.functional import derive_stream
from skeattn.channels import num_coordinates
from skeattn.datasets.transforms import Pipeline
from skeattn.models.preprocessor import SkeletonPreprocessor
from skeattn.skeletons import SkeletonLayout

RAW = 'raw'


@dataclass
class Panel:
    """A clip after one step.

    Attributes:
        step: name of the step, such as ``'raw'``, ``'centre'``, ``'query.crop'``.
        stream: ``'joint'``, ``'motion'`` or ``'bone'``.
        keypoint: coordinates ``(M, T, V, 2 or 3)`` in this stream; an absent person or frame is all zero.
        note: remark below the step's name.
    """

    step: str
    stream: str
    keypoint: np.ndarray
    note: str = ''


def pipeline_steps(clip: Mapping[str, Any], pipeline: Pipeline) -> list[Panel]:
    """A stored clip, and the clip after each step of the pipeline.

    Args:
        clip: ``keypoint`` ``(M, T, V, C)`` and the other keys of a clip in the pipeline.
        pipeline: the steps.
    """
    D = num_coordinates(clip['channels'])
    panels = [Panel(RAW, 'joint', clip['keypoint'][..., :D])]
    results = dict(clip)
    for name, transform in pipeline.steps.items():
        results = transform(results)
        keypoint = results['inputs'].transpose(3, 1, 2, 0) if 'inputs' in results else results['keypoint']
        panels.append(Panel(name, 'joint', keypoint[..., :D].copy()))
    return panels


def view_steps(
    preprocessor: SkeletonPreprocessor, clips: Tensor, views: Sequence[str], seed: int = 0, iteration: int = 0
) -> list[Panel]:
    """The first clip of a batch after each operation of the training views, drawn as in training.

    Args:
        preprocessor: of one stream; its operations are wrapped permanently.
        clips: ``(B, C, T, V, M)``; the other clips are the partners of operations that mix.
        views: the views to show, each after its source views.
        seed: of the random draws.
        iteration: training iteration of the random draws.
    """
    layout, stream = preprocessor.layout, str(preprocessor.stream)
    D = num_coordinates(preprocessor.channels)
    panels: dict[str, list[Panel]] = {view: [] for view in preprocessor.ops}

    def watch(view: str, name: str, op: Augment) -> Augment:
        def note(before: Tensor, after: Tensor) -> None:
            if op.on != 'stream':
                before, after = (derive_stream(x[:, :D], stream, layout) for x in (before, after))
            same = 'changes nothing in this draw' if torch.equal(before[0], after[0]) else ''
            panels[view].append(Panel(f'{view}.{name}', stream, _persons_first(after[0, :D]), same))

        return _Watched(op, note)

    for view, ops in preprocessor.ops.items():
        preprocessor.ops[view] = {name: watch(view, name, op) for name, op in ops.items()}
    preprocessor.begin_iteration(seed, iteration)
    drawn = preprocessor({'inputs': clips}, training=True)['inputs']
    for view, steps in panels.items():
        if not steps:  # a view without operations
            final = drawn[view][0, :, :D].permute(0, 2, 3, 1).numpy()
            steps.append(Panel(view, stream, final, f'same as {preprocessor.sources[view]}'))

    def lineage(view: str) -> list[str]:
        source = preprocessor.sources[view]
        return [*(lineage(source) if source in panels else ()), view]

    shown = dict.fromkeys(step for view in views for step in lineage(view))
    return [panel for view in shown for panel in panels[view]]


def in_stream(panel: Panel, stream: str, layout: SkeletonLayout) -> Panel:
    """A step of the joint stream, converted to another stream."""
    x = torch.tensor(panel.keypoint).permute(3, 1, 2, 0)[None]
    return replace(panel, stream=stream, keypoint=_persons_first(derive_stream(x, stream, layout)[0]))


def _persons_first(x: Tensor) -> np.ndarray:
    """``(D, T, V, M)`` -> ``(M, T, V, D)``."""
    return x.permute(3, 1, 2, 0).numpy().copy()


class _Watched(Augment):
    """An operation that reports the clips before and after it; all else is delegated to the operation."""

    def __init__(self, op: Augment, note: Callable[[Tensor, Tensor], None]) -> None:
        self.__dict__.update(op.__dict__)
        self.op, self.note = op, note
        self.coordinates_only = op.coordinates_only

    def draw(self, *arguments: Any) -> Params:
        return self.op.draw(*arguments)

    def apply(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        changed = self.op.apply(x, params, partners)
        self.note(x, changed)
        return changed

    def notes(self, params: Params, frames: int) -> Params:
        return self.op.notes(params, frames)
