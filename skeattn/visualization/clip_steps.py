"""A clip before and after every processing step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skeattn.augment.base import Augment, Params, Partners
from skeattn.augment.functional import derive_stream, seen_in_stream
from skeattn.channels import num_coordinates
from skeattn.datasets.missing import missing_joints
from skeattn.datasets.transforms import Pipeline, present
from skeattn.models.preprocessor import SkeletonPreprocessor
from skeattn.skeletons import SkeletonLayout

RAW = 'raw'


@dataclass
class Panel:
    """A clip after one step.

    Attributes:
        step: name of the step, such as ``'raw'``, ``'centre'``, ``'query.crop'``.
        stream: ``'joint'``, ``'motion'`` or ``'bone'``.
        keypoint: coordinates ``(M, T, V, 2 or 3)`` in this stream; an absent person or frame is all zero, a missing
            joint NaN.
        note: remark below the step's name, such as the share of missing joints.
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
    panels = [_panel(RAW, clip['keypoint'][..., :D])]
    for name, stage in pipeline.stages(dict(clip)):
        keypoint = stage['keypoint'][..., :D].copy()
        if 'inputs' in stage:
            keypoint = stage['inputs'].transpose(3, 1, 2, 0)[..., :D].copy()
            if 'missing' in stage:
                keypoint[stage['missing'].transpose(2, 0, 1)] = np.nan
        panels.append(_panel(name, keypoint))
    return panels


def _panel(step: str, keypoint: np.ndarray) -> Panel:
    missing = missing_joints(keypoint, keypoint.shape[-1]).sum()
    share = missing / max(present(keypoint).sum() * keypoint.shape[2], 1)
    return Panel(step, 'joint', keypoint, f'{100 * share:.2g} % of the joints missing' if missing else '')


def view_steps(
    preprocessor: SkeletonPreprocessor,
    clips: Tensor,
    views: Sequence[str],
    seed: int = 0,
    iteration: int = 0,
    missing: Tensor | None = None,
    native: Mapping[str, Tensor] | None = None,
) -> list[Panel]:
    """The first clip of a batch after each operation of the training views, drawn as in training.

    Args:
        preprocessor: of one stream; its operations are wrapped permanently.
        clips: ``(B, C, T, V, M)``; the other clips are the partners of operations that mix.
        views: the views to show, each after its source views.
        seed: of the random draws.
        iteration: training iteration of the random draws.
        missing: ``(B, T, V, M)`` joints that are missing after the pipeline.
        native: entries of a batch with clips at their native length.
    """
    layout, stream = preprocessor.layout, str(preprocessor.stream)
    D = num_coordinates(preprocessor.channels)
    panels: dict[str, list[Panel]] = {view: [] for view in preprocessor.ops}
    seen = {'clip': torch.ones_like(clips[:, :1], dtype=torch.bool) if missing is None else ~missing[:, None]}

    def drawable(x: Tensor, view: str) -> np.ndarray:
        there = seen_in_stream(seen.get(view, seen['clip']), stream, layout)
        return _persons_first(torch.where(there, x[:, :D], torch.nan)[0])

    def watch(view: str, name: str, op: Augment) -> Augment:
        def note(before: Tensor, after: Tensor) -> None:
            if view not in seen:
                seen[view] = seen.get(preprocessor.sources[view], seen['clip'])
            if op.on != 'stream':
                if missing is None:
                    seen[view] = torch.ones_like(after[:, :1], dtype=torch.bool)
                elif not op.coordinates_only:  # the last channel: joints that were seen
                    seen[view] = after[:, -1:] > 0.5
                before, after = (derive_stream(x[:, :D], stream, layout) for x in (before, after))
            same = 'changes nothing in this draw' if torch.equal(before[0], after[0]) else ''
            panels[view].append(Panel(f'{view}.{name}', stream, drawable(after, view), same))

        return _Watched(op, note)

    for view, ops in preprocessor.ops.items():
        preprocessor.ops[view] = {name: watch(view, name, op) for name, op in ops.items()}
    preprocessor.begin_iteration(seed, iteration)
    batch = {'inputs': clips, **(native or {})} | ({} if missing is None else {'missing': missing})
    drawn = preprocessor(batch, training=True)['inputs']
    for view, steps in panels.items():
        if not steps:  # a view without operations
            source = preprocessor.sources[view]
            final = drawable(drawn[view].permute(0, 2, 3, 4, 1), source)
            steps.append(Panel(view, stream, final, f'same as {source}'))

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
        self.coordinates_only, self.native, self.keeps_length = op.coordinates_only, op.native, op.keeps_length

    def draw(self, *arguments: Any) -> Params:
        return self.op.draw(*arguments)

    def apply(self, x: Tensor, params: Params, partners: Partners) -> Tensor:
        changed = self.op.apply(x, params, partners)
        self.note(x, changed)
        return changed

    def located(self, x: Tensor, params: Params) -> tuple[Tensor, Tensor] | None:
        return self.op.located(x, params)

    def notes(self, params: Params, frames: int) -> Params:
        return self.op.notes(params, frames)
