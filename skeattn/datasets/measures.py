"""Measurements of a packed set that show the meaning of its values: ranges, unit, bones, persons, missing joints."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from skeattn.channels import num_coordinates
from skeattn.datasets.copies import trunk_length
from skeattn.datasets.packed import PackedSet
from skeattn.progress import progress
from skeattn.skeletons import SkeletonLayout

SAMPLE = 100
"""Clips whose bones are measured, evenly spread over the set."""
FRAMES = 32
"""Frames of a clip whose bones are measured."""
# From, below, unit of a trunk length. A trunk is 0.3 m (child) to 0.65 m long.
_UNITS_3D = ((0.2, 1.0, 'metres'), (20, 100, 'centimetres'), (200, 1000, 'millimetres'))
_UNITS_2D = ((0, 3, 'normalised'), (8, np.inf, 'pixels'))
UNKNOWN = 'unknown'
IN_A_METRE = {'centimetres': 100, 'millimetres': 1000}
"""Units of 3-D coordinates that are no metres."""
LEAP, NEARER = 0.5, 0.5
"""A body leaps by more than half its extent; a person in a different row is the same where that is half as far."""


@dataclass(frozen=True)
class ClipMeasures:
    """Numbers of one clip.

    Args:
        low, middle, high: least, median and largest value of each channel ``(C,)`` over the present joints; NaN if
            there are none.
        trunk: median length, 0 if it is never present; ``flat``: the same from x and y alone.
        extent: largest diagonal of a person in most frames (95 %).
        persons: number of persons who are present in any frame; ``trunks``: of the first two.
        moves: steps between frames in which persons change rows; ``steps``: in which two persons are present.
        joints, missing, zero: joints of present persons in all frames; how many are NaN, and how many are at the
            origin.
    """

    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    trunk: float
    flat: float
    extent: float
    persons: int
    trunks: tuple[float, ...]
    moves: int
    steps: int
    joints: int
    missing: int
    zero: np.ndarray


@dataclass(frozen=True)
class Tree:
    """How well a layout fits its joints.

    Args:
        length: of all bones, relative to the shortest tree over the same joints: 1.1 to 1.4 for the shipped layouts in
            3-D, 1.5 and more if joints are in a different order.
        asymmetry: mean relative difference of mirrored bones, 0.1 and less if left and right are correct.
        variation: median relative deviation of a bone's length over the frames of a clip.
    """

    length: float
    asymmetry: float
    variation: float


@dataclass(frozen=True)
class Measures:
    """Numbers of a set; clips in the order of its table.

    Args:
        channels: name -> least, median and largest value.
        clips: of each clip.
        trunk: median over the clips; ``unit``: the unit that it implies.
        tree: of the set's layout; None where no clip has bones.
        collinear: the joints of a person lie on a line in nearly all frames.
        empty: classes without a clip; ``unlabelled``: clips without a label.
        missing: share of joints that are missing; ``zero``: of joints at the origin, without those that always are.
        persons: number of present persons -> number of clips.
    """

    channels: dict[str, tuple[float, float, float]]
    clips: list[ClipMeasures] = field(repr=False)
    trunk: float
    unit: str
    tree: Tree | None
    collinear: bool
    empty: list[str]
    unlabelled: int
    missing: float
    zero: float
    persons: dict[int, int]


def measure(packed: PackedSet) -> Measures:
    """Read every clip and measure it."""
    D, layout, labels = num_coordinates(packed.channels), packed.layout, packed.table['label']
    clips = [
        measure_clip(packed.clip(i), D, layout)
        for i in progress(range(len(packed)), f'measuring clips of {packed.path}')
    ]
    seen = [clip for clip in clips if np.isfinite(clip.middle).all()]
    none = [np.full(len(packed.channels), np.nan)]
    low = np.min([clip.low for clip in seen] or none, axis=0)
    middle = np.median([clip.middle for clip in seen] or none, axis=0)
    high = np.max([clip.high for clip in seen] or none, axis=0)
    trunks = np.array([clip.trunk for clip in clips if clip.trunk > 0])
    trunk = float(np.median(trunks)) if len(trunks) else 0.0
    joints = max(sum(clip.joints for clip in clips), 1)
    zero, frames = np.sum([clip.zero for clip in clips], axis=0), joints / layout.num_joints
    zero = np.where(zero >= 0.999 * frames, 0, zero)  # the joint on which clips are centred
    counts = np.bincount(labels[(labels >= 0) & (labels < len(packed.classes))], minlength=len(packed.classes))
    bodies = sample_bodies(packed)
    return Measures(
        channels={name: (float(low[c]), float(middle[c]), float(high[c])) for c, name in enumerate(packed.channels)},
        clips=clips,
        trunk=trunk,
        unit=unit_of(trunk, D),
        tree=fit_tree(bodies, layout),
        collinear=is_collinear(bodies),
        empty=[name for name, count in zip(packed.classes, counts, strict=True) if not count],
        unlabelled=int((labels < 0).sum()),
        missing=sum(clip.missing for clip in clips) / joints,
        zero=float(zero.sum()) / joints,
        persons=dict(sorted(Counter(clip.persons for clip in clips).items())),
    )


def measure_clip(clip: np.ndarray, D: int, layout: SkeletonLayout) -> ClipMeasures:
    """The numbers of a clip ``(M, T, V, C)`` with D coordinates."""
    places = clip[..., :D]
    present = (np.abs(clip) > 0).any(axis=(2, 3))
    missing = np.isnan(places).any(axis=-1) & present[..., None]
    zero = (places == 0).all(axis=-1) & present[..., None]
    valid = present[..., None] & ~missing & ~zero
    values = clip[valid].astype(np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    nothing = np.full(clip.shape[-1], np.nan)
    some = valid.any(axis=2)
    lowest, highest = (
        reduce(np.where(valid[some][..., None], places[some], end), axis=1)
        for reduce, end in ((np.min, np.inf), (np.max, -np.inf))
    )
    extents = np.linalg.norm(highest - lowest, axis=-1)
    persons = [person for person in places if (np.abs(person) > 0).any()]
    moves, steps = changes_of_rows(places, valid)
    return ClipMeasures(
        low=values.min(axis=0) if len(values) else nothing,
        middle=np.median(values, axis=0) if len(values) else nothing,
        high=values.max(axis=0) if len(values) else nothing,
        trunk=trunk_length(places, layout),
        flat=trunk_length(places[..., :2], layout),
        extent=float(np.percentile(extents, 95)) if len(extents) else 0.0,
        persons=len(persons),
        trunks=tuple(trunk_length(person[None], layout) for person in persons[:2]),
        moves=moves,
        steps=steps,
        joints=int(present.sum()) * layout.num_joints,
        missing=int(missing.sum()),
        zero=zero.sum(axis=(0, 1)),
    )


def changes_of_rows(places: np.ndarray, valid: np.ndarray) -> tuple[int, int]:
    """How often the row of a person continues as a different person, as in lists of an estimator without tracking.

    A person changes rows where they are near a different row of the next frame, and whoever stays in either row would
    have to leap.

    Args:
        places: coordinates ``(M, T, V, D)``; ``valid``: which joints are there ``(M, T, V)``.

    Returns:
        Number of steps to a next frame in which persons change rows, and of steps in which there are two persons.
    """
    if len(places) < 2:
        return 0, 0
    count, there = valid.sum(axis=2)[..., None], np.asarray(valid.any(axis=2))
    middle = np.where(valid[..., None], places, 0).sum(axis=2) / np.maximum(count, 1)
    spread = np.where(valid[..., None], np.abs(places - middle[:, :, None]), 0).max(axis=2)
    extent = 2 * np.linalg.norm(spread, axis=-1)  # (M, T)
    apart = np.linalg.norm(middle[:, None, :-1] - middle[None, :, 1:], axis=-1)  # (from, to, T - 1)
    apart = np.where(there[:, None, :-1] & there[None, :, 1:], apart, np.inf)
    stays = np.moveaxis(np.diagonal(apart), -1, 0)  # (M, T - 1), infinite where the row is empty before or after
    leaps = stays > LEAP * extent[:, :-1]
    moved = leaps[:, None] & leaps[None] & (apart <= LEAP * extent[:, None, :-1])
    moved &= apart < NEARER * np.minimum(stays[:, None], stays[None])
    several = (there[:, :-1].sum(axis=0) > 1) | (there[:, 1:].sum(axis=0) > 1)
    return int((moved.any(axis=(0, 1)) & several).sum()), int(several.sum())


def unit_of(trunk: float, D: int) -> str:
    """The unit in which a trunk has that length."""
    return next((unit for low, high, unit in (_UNITS_2D if D == 2 else _UNITS_3D) if low < trunk <= high), UNKNOWN)


def sample_bodies(packed: PackedSet) -> list[np.ndarray]:
    """Frames ``(N, V, D)`` of some clips in which all joints of the first present person are seen."""
    D, bodies = num_coordinates(packed.channels), []
    for i in np.unique(np.linspace(0, len(packed) - 1, SAMPLE).astype(int)):
        clip = packed.clip(int(i))[..., :D]
        for person in clip:
            frames = person[np.isfinite(person).all(axis=(1, 2)) & person.any(axis=(1, 2))]
            if len(frames):
                bodies.append(frames[np.unique(np.linspace(0, len(frames) - 1, FRAMES).astype(int))].astype(np.float64))
                break
    return bodies


def fit_tree(bodies: list[np.ndarray], layout: SkeletonLayout) -> Tree | None:
    """How well a layout fits bodies, the median over them; None if they have no size."""
    numbers = []
    mirrored = layout.mirrored
    for frames in bodies:
        distances = np.linalg.norm(frames[:, :, None] - frames[:, None], axis=-1)
        typical = np.median(distances, axis=0)
        shortest = spanning_length(typical)
        if not shortest:
            continue
        lengths = np.array([typical[joint, parent] for joint, parent in layout.bones])
        others = np.array([typical[mirrored[joint], mirrored[parent]] for joint, parent in layout.bones])
        pairs = others != lengths
        both = np.maximum(lengths + others, 1e-9)
        asymmetry = float((np.abs(lengths - others) / both)[pairs].mean()) if pairs.any() else 0.0
        moving = np.stack([distances[:, joint, parent] for joint, parent in layout.bones], axis=1)
        deviation = np.median(np.abs(moving - lengths), axis=0)[lengths > 0] / lengths[lengths > 0]
        numbers.append((lengths.sum() / shortest, asymmetry, float(np.median(deviation)) if len(deviation) else 0.0))
    return Tree(*(float(value) for value in np.median(numbers, axis=0))) if numbers else None


def spanning_length(distances: np.ndarray) -> float:
    """Length of the shortest tree that connects all points, by Prim's algorithm.

    Args:
        distances: between the points, ``(V, V)``.
    """
    nearest, outside, length = distances[0].copy(), np.ones(len(distances), bool), 0.0
    outside[0] = False
    while outside.any():
        point = int(np.where(outside, nearest, np.inf).argmin())
        length += float(nearest[point])
        outside[point] = False
        nearest = np.minimum(nearest, distances[point])
    return length


def is_collinear(bodies: list[np.ndarray]) -> bool:
    """Whether the joints lie on a line in most clips, which is impossible for a body."""
    if not bodies:
        return False
    ratios = []
    for frames in bodies:
        sizes = np.linalg.svd(frames - frames.mean(axis=1, keepdims=True), compute_uv=False)
        ratios.append(np.median(sizes[:, 1] / np.maximum(sizes[:, 0], 1e-12)))
    return float(np.median(ratios)) < 1e-3
