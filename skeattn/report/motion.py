"""Moving clips as compact numbers: coordinates as int16, masks as uint8, both as base64."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from skeattn.skeletons import SkeletonLayout
from skeattn.visualization.clip_player import frame_of, upwards
from skeattn.visualization.clip_steps import Panel

FULL, ABSENT = 32767, -32768
"""The int16 of the largest distance from the centre, and that of a joint that is not there."""
MASK_FRAMES = 8
"""Maximum number of mask frames of a clip; the mask varies slowly, as its map has a quarter of the clip's frames."""
FEWEST = 12
"""Frames of a clip below which clips are left out rather than thinned."""
ENOUGH_FOR_UPRIGHT = 50
STEEPEST = 45.0
"""Degrees between a spine and the upright beyond which a person may lie or bend, so that nothing is levelled."""


@dataclass(frozen=True)
class Motion:
    """A clip as it is stored.

    Attributes:
        persons: P, those who are ever present.
        frames: T.
        reach: half of the width that is visible, in units of the data.
        scale: units of the data per step of ``coordinates``.
        coordinates: base64 of little-endian int16 ``(P, T, V, D)``, relative to the middle of the clip.
    """

    persons: int
    frames: int
    reach: float
    scale: float
    coordinates: str


def drawable(clips: np.ndarray, coordinates: int, missing: bool) -> np.ndarray:
    """Clips for drawing, ``(N, M, T, V, D)``: NaN where a joint or a person is not there.

    Args:
        clips: ``(N, C, T, V, M)`` after the pipeline, with a last channel that marks missing joints if ``missing``.
        coordinates: D, 2 or 3.
        missing: whether there is such a channel.
    """
    moved = clips.transpose(0, 4, 2, 3, 1)
    points = moved[..., :coordinates].astype(np.float32)
    points[~points.any(axis=(3, 4))] = np.nan
    if missing:
        points[moved[..., -1] > 0] = np.nan
    return points


def levelled(clip: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """A 3-D clip turned as a whole so that the spine of a person points along y when the person is first seen.

    A tilted camera records leaning bodies. Where the spine lies more than :data:`STEEPEST` from y, such as of a person
    who lies down, and in 2-D, nothing is turned.

    Args:
        clip: ``(M, T, V, D)`` from :func:`drawable`.
        layout: tells the spine.
    """
    if clip.shape[-1] != 3:
        return clip
    lower, upper = (layout.locate(clip, end) for end in layout.spine)
    spines = (upper - lower).reshape(-1, 3).astype(np.float64)
    known = spines[np.isfinite(spines).all(axis=1) & spines.any(axis=1)]
    if not len(known):
        return clip
    x, y, z = known[0] / np.linalg.norm(known[0])
    if abs(y) < np.cos(np.deg2rad(STEEPEST)):
        return clip
    x, y, z = np.sign(y) * np.array([x, y, z])  # a body that stands on its head, as in an image, keeps doing so
    axis = np.array([[0, -x, 0], [x, 0, z], [0, -z, 0]])  # turns (x, y, z) to (0, 1, 0) about their normal
    turn = np.eye(3) + axis + axis @ axis / (1 + y)
    return clip @ turn.T.astype(clip.dtype)


def quantise(clip: np.ndarray, frames: int) -> Motion:
    """A clip with at most ``frames`` evenly chosen frames; each coordinate is exact to half a step of ``scale``.

    Args:
        clip: ``(M, T, V, D)`` from :func:`drawable`.
        frames: maximum number of frames.
    """
    there = np.isfinite(clip).any(axis=(1, 2, 3))
    chosen = np.linspace(0, clip.shape[1] - 1, min(frames, clip.shape[1])).round().astype(int)
    clip = clip[there][:, chosen]
    centre, reach = frame_of(Panel('', 'joint', clip))
    away = clip.astype(np.float64) - centre
    scale = float(np.nanmax(np.abs(away), initial=0.0)) / FULL or 1.0
    lost = ~np.isfinite(away)
    steps = np.where(lost, ABSENT, np.rint(np.where(lost, 0, away) / scale)).astype('<i2')
    return Motion(len(clip), len(chosen), reach, scale, _text(steps))


def quantise_masks(masks: Tensor, persons: np.ndarray, low: float, high: float) -> list[str]:
    """Masks as base64 of uint8 ``(P, T', V)``, 0 for ``low`` and 255 for ``high``.

    Args:
        masks: ``(N, M, T', V)``; neighbouring frames are averaged down to :data:`MASK_FRAMES`.
        persons: ``(N, M)`` bool, the P persons of each clip that are kept.
        low, high: range; values outside are clipped.
    """
    frames = min(MASK_FRAMES, masks.shape[2])
    coarse = adaptive_avg_pool2d(masks.float(), (frames, masks.shape[3])).numpy()
    steps = np.rint((coarse - low) / max(high - low, 1e-12) * 255).clip(0, 255).astype(np.uint8)
    return [_text(mask[there]) for mask, there in zip(steps, persons, strict=True)]


def upright(clips: np.ndarray, layout: SkeletonLayout) -> int:
    """1 if y points up in most clips ``(N, M, T, V, D)``, -1 if down, as in coordinates of an image."""
    some = clips[np.linspace(0, len(clips) - 1, min(len(clips), ENOUGH_FOR_UPRIGHT)).round().astype(int)]
    return -1 if sum(upwards(Panel('', 'joint', clip), layout) for clip in some) < 0 else 1


def affordable(costs: Sequence[int] | np.ndarray, budget: float, frames: int) -> tuple[int, int]:
    """How many clips, from the first on, and how many frames of each fit.

    Args:
        costs: bytes of a frame of each clip.
        budget: bytes for all.
        frames: of a clip at most.

    Returns:
        (clips, frames). Clips are thinned down to :data:`FEWEST` frames, then the last ones are left out.
    """
    total = np.cumsum(costs)
    clips = int(np.searchsorted(total, budget / min(FEWEST, frames), side='right'))
    if not clips:
        return 0, 0
    return clips, int(min(frames, budget // total[clips - 1]))


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
