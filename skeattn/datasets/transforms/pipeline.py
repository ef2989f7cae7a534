"""The pipeline: named steps over a clip dict, run one after the other."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from skeattn.channels import AXES, BY_COUNT, num_coordinates
from skeattn.datasets.missing import anybody, persons_first, present
from skeattn.errors import ConfigError, DataError
from skeattn.registry import TRANSFORMS
from skeattn.skeletons import SkeletonLayout
from skeattn.steps import in_order

# keypoint (M, T, V, C) float32 (absent persons zero, missing joints NaN), layout, name, total_frames, channels (names
# of the C values, by default inferred from their number); PackClip adds inputs (C, T, V, M) and missing (T, V, M).
Clip = dict[str, Any]


class Pipeline:
    """Runs the steps of a config in the order written, or where ``before`` and ``after`` place them.

    Args:
        steps: ``{name: transform config}``; the name lets a child config change one step, None removes it. A step with
            ``before='pack'`` or ``after='centre'`` runs there, see :func:`~skeattn.steps.in_order`.

    Raises:
        ConfigError: the steps are not a dict of configs, refer to no other step, or follow the one that packs the clip.
    """

    def __init__(self, steps: Mapping[str, Mapping[str, Any] | None]) -> None:
        if not isinstance(steps, Mapping):
            raise ConfigError(
                f'pipeline must be a dict of named steps such as centre=dict(type="Centre"), not {steps!r}'
            )
        ordered = in_order(steps, 'pipeline')
        self.steps = {name: TRANSFORMS.build(step) for name, step in ordered.items() if step is not None}
        refuse_after_packing(self.steps, 'pipeline')

    def __call__(self, clip: Clip) -> Clip:
        for _, stage in self.stages(clip):
            clip = stage
        return clip

    def stages(self, clip: Clip) -> Iterator[tuple[str, Clip]]:
        """Each step's name and the clip after it.

        Before each step, persons who are ever present precede the others
        (:func:`~skeattn.datasets.missing.persons_first`).

        Raises:
            DataError: no person is present, or a coordinate is infinite; gives the clip and the step.
        """
        for name, transform in self.steps.items():
            clip = transform({**clip, 'keypoint': _admitted(clip, name)})
            yield name, clip

    def native(self) -> 'Pipeline':
        """The pipeline for clips at their native length.

        A step that brings clips to one number of frames has a method ``native`` that returns its replacement, None for
        none; the other steps are the same.
        """
        steps = {name: step.native() if hasattr(step, 'native') else step for name, step in self.steps.items()}
        pipeline = copy.copy(self)
        pipeline.steps = {name: step for name, step in steps.items() if step is not None}
        return pipeline

    def in_place(self) -> 'Pipeline':
        """The pipeline that leaves bodies where, as large and as turned as they were recorded; for pictures.

        Its clips have the same frames, joints and persons. A step that only moves, turns or scales bodies has
        ``places = True`` and is left out.
        """
        pipeline = copy.copy(self)
        pipeline.steps = {name: step for name, step in self.steps.items() if not getattr(step, 'places', False)}
        return pipeline

    def can_miss(self, packed: Any) -> bool:
        """Whether prepared clips of a set can have missing joints, its own or those of a step with ``loses = True``."""
        return bool(packed.has_missing) or any(getattr(step, 'loses', False) for step in self.steps.values())

    def layout_after(self, layout: SkeletonLayout) -> SkeletonLayout:
        """The layout of clips that had ``layout``; a step that changes it also has a method of this name.

        Raises:
            ConfigError: a step cannot derive its layout from this one.
        """
        for transform in self.steps.values():
            layout = transform.layout_after(layout) if hasattr(transform, 'layout_after') else layout
        return layout


def refuse_after_packing(steps: Mapping[str, Any], place: str) -> None:
    """Refuse steps without effect, because the clip is already packed.

    Args:
        steps: the transforms or their classes by name, in the order in which they run.
        place: their section of the config, for the message.

    Raises:
        ConfigError: a step follows one that has ``packs = True``.
    """
    names = list(steps)
    packing = next((name for name in names if getattr(steps[name], 'packs', False)), names[-1] if names else '')
    for name in names[names.index(packing) + 1 :] if names else ():
        raise ConfigError(
            f'{place}.{name} runs after {place}.{packing}, which packs the clip, and would change nothing; '
            f'set its place: {name}=dict(..., before={packing!r})'
        )


def _admitted(clip: Clip, step: str) -> np.ndarray:
    keypoint: np.ndarray = clip['keypoint']
    if np.isinf(keypoint).any():
        raise DataError(f'{clip["name"]}: infinite coordinate before the step {step!r} of the pipeline')
    if not anybody(keypoint):
        raise DataError(
            f'{clip["name"]}: no person is present in any frame (every value is zero or missing) before the step '
            f'{step!r} of the pipeline; leave the clip out'
        )
    return persons_first(keypoint)


def coordinates(clip: Clip) -> int:
    """Number of a joint's coordinates, 2 or 3; its other values, such as a score, follow them."""
    return num_coordinates(clip.get('channels') or BY_COUNT.get(clip['keypoint'].shape[-1], AXES))


def first_frame(clip: Clip) -> int:
    """The first frame in which person 0 is present.

    Raises:
        DataError: person 0 is never present.
    """
    frames = present(clip['keypoint'][:1])[0]
    if not frames.any():
        raise DataError(f'{clip["name"]}: person 0 is absent in every frame')
    return int(frames.argmax())
