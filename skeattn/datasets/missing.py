"""Absent persons and missing joints.

Packed sets, the pipeline and embedded arrays mark unseen persons and joints with two values:

* An **absent person** is all zero in a frame.
* A **missing joint** of a present person has NaN coordinates; its other channels, such as a score, are 0.

A person without any joint is absent. Persons who are ever present precede those who never are.
"""

from collections.abc import Sequence

import numpy as np

from skeattn.channels import AXES, BY_COUNT, num_coordinates
from skeattn.skeletons import JointOrMean, SkeletonLayout

SCORES = ('score', 'confidence', 'conf', 'visibility', 'likelihood', 'probability')
"""Names of a channel in which 0 means that a joint was not detected."""
ROWS = 1 << 16
FARTHEST = 1e8
"""Coordinates beyond it are absurd in any unit; squares of those within it are far from overflow."""


def mark_missing(keypoint: np.ndarray, channels: Sequence[str] | None, layout: SkeletonLayout) -> np.ndarray:
    """Convert the values that formats write for undetected joints into missing joints.

    A joint of a present person is missing where

    * a coordinate or its score is NaN;
    * its score is 0 or less, unless no score of the clip is above 0 (then the scores are unset);
    * all its coordinates are -1;
    * in 2-D, it lies at (0, 0), the corner of the image. One joint of the trunk (root, hip, spine) that lies there in
      every frame, with other joints on both sides of it, is the origin of centred coordinates and stays;
    * in 3-D, it lies at (0, 0, 0) and the body is elsewhere: all its other joints are farther from the origin than the
      body is large. So a joint at the camera is missing, but a joint at the origin of centred coordinates stays.

    A person without joints left in a frame becomes absent in it. A zero in one coordinate alone and absent persons are
    unchanged. Marking twice has no further effect.

    Args:
        keypoint: ``(M, T, V, C)``, in the units of the source and before any centring by the converter.
        channels: names of the C values; None: inferred from their number.
        layout: of the joints.

    Returns:
        the same array if nothing is missing, otherwise a copy. An array of a wrong shape is returned unchanged, since
        the writer reports it.
    """
    keypoint = np.asarray(keypoint)
    if keypoint.ndim == 4 and keypoint.dtype.kind in 'iub':
        keypoint = keypoint.astype(np.float32)
    names = tuple(channels or BY_COUNT.get(keypoint.shape[-1] if keypoint.ndim else 0, AXES))
    if keypoint.ndim != 4 or not keypoint.size or keypoint.shape[2:] != (layout.num_joints, len(names)):
        return keypoint
    D = num_coordinates(names)
    places = keypoint[..., :D]
    missing = np.isnan(places).any(axis=-1) | (places == -1).all(axis=-1)
    for channel, name in enumerate(names):
        if name in SCORES and (keypoint[..., channel] > 0).any():
            missing |= ~(keypoint[..., channel] > 0)  # also NaN
        elif name in SCORES:
            missing |= np.isnan(keypoint[..., channel])
    zero = (places == 0).all(axis=-1) & present(keypoint)[:, :, None]
    if zero.any():
        missing |= zero & ~(_origin_of_plane(places, zero, missing, layout) if D == 2 else _near(places, zero, missing))
    return settle(keypoint, D, missing & np.asarray(keypoint.any(axis=(2, 3)))[:, :, None])


def _origin_of_plane(places: np.ndarray, zero: np.ndarray, missing: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """(V,): the joint on which 2-D coordinates are centred, if they are."""
    visible = (~zero & ~missing).any(axis=2)
    always = (zero | ~visible[:, :, None]).all(axis=(0, 1))
    ends = (layout.root, layout.hip, *layout.spine)
    trunk = [joint for end in ends for joint in ((end,) if isinstance(end, int) else end)]
    seen = places[~zero & ~missing]
    around = len(seen) > 0 and bool(((seen.min(axis=0) < 0) & (seen.max(axis=0) > 0)).any())
    is_origin = np.zeros(layout.num_joints, bool)
    if around and always.sum() == 1:
        is_origin[trunk] = always[trunk]
    return is_origin


def _near(places: np.ndarray, zero: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """(M, T, V): the origin is not farther from the person's other joints than the person is large."""
    near = np.zeros(zero.shape, bool)
    for person, frame in np.argwhere(zero.any(axis=2)):
        others = places[person, frame][~zero[person, frame] & ~missing[person, frame]].astype(np.float64)
        near[person, frame] = len(others) and np.linalg.norm(others, axis=1).min() <= np.ptp(others, axis=0).max()
    return near


def settle(keypoint: np.ndarray, D: int, missing: np.ndarray | None = None) -> np.ndarray:
    """Make all coordinates of missing joints NaN, and persons without a joint absent.

    Args:
        keypoint: ``(M, T, V, C)``.
        D: number of coordinates; any that is NaN makes the joint missing.
        missing: ``(M, T, V)`` further missing joints.

    Returns:
        the same array if nothing is missing, otherwise a copy.
    """
    lost = missing_joints(keypoint, D) if missing is None else missing | missing_joints(keypoint, D)
    if not lost.any():
        return keypoint
    settled = keypoint.copy()
    settled[lost] = np.where(np.arange(keypoint.shape[-1]) < D, np.nan, 0)
    settled[lost.all(axis=2)] = 0
    settled[~present(settled)] = 0
    return settled


def missing_joints(keypoint: np.ndarray, D: int) -> np.ndarray:
    """Which joints are missing, ``(M, T, V)`` bool; the joints of absent persons are not."""
    return np.asarray(np.isnan(keypoint[..., :D]).any(axis=-1))


def present(keypoint: np.ndarray) -> np.ndarray:
    """Which persons are present in which frames, ``(M, T)`` bool: any joint is neither zero nor missing."""
    return np.asarray((np.abs(keypoint) > 0).any(axis=(2, 3)))


def persons_first(keypoint: np.ndarray) -> np.ndarray:
    """Persons who are ever present before those who never are, otherwise in their order.

    Converters, checks and every step of the pipeline follow this rule, so that person 0 exists if any does.

    Args:
        keypoint: ``(M, T, V, C)``.

    Returns:
        the same array if it is in that order.
    """
    ever = np.array([(np.abs(person) > 0).any() for person in keypoint], bool)
    return keypoint if (ever[:-1] >= ever[1:]).all() else keypoint[np.argsort(~ever, kind='stable')]


def anybody(keypoint: np.ndarray) -> bool:
    """Whether any person is present in any frame of ``(M, T, V, C)``."""
    return bool((np.abs(keypoint) > 0).any())


def fill_in_time(keypoint: np.ndarray, D: int, frames: np.ndarray | None = None) -> np.ndarray:
    """Interpolate each missing joint linearly between the frames that have it; at the ends take the nearest.

    All channels of the joint are interpolated. A joint that is missing in the whole clip stays missing.

    Args:
        keypoint: ``(M, T, V, C)``.
        D: number of coordinates.
        frames: ``(M, T)`` the frames to fill; by default those in which the person is present. In a frame in
            which the person is absent, all its joints are interpolated.

    Returns:
        a copy.
    """
    visible = present(keypoint)
    seen = visible[:, :, None] & ~missing_joints(keypoint, D)
    gaps = (visible if frames is None else frames)[:, :, None] & ~seen & seen.any(axis=1, keepdims=True)
    filled = keypoint.copy()
    time = np.arange(keypoint.shape[1])[None, :, None]
    before = np.maximum.accumulate(np.where(seen, time, -1), axis=1)
    after = np.minimum.accumulate(np.where(seen, time, time.size)[:, ::-1], axis=1)[:, ::-1]
    before, after = np.where(before < 0, after, before), np.where(after == time.size, before, after)
    person, frame, joint = np.nonzero(gaps)
    first, last = before[gaps], after[gaps]
    weight = np.where(last > first, (frame - first) / np.maximum(last - first, 1), 0).astype(keypoint.dtype)[:, None]
    filled[gaps] = keypoint[person, first, joint] * (1 - weight) + keypoint[person, last, joint] * weight
    return filled


def place_unseen(keypoint: np.ndarray, D: int, layout: SkeletonLayout) -> np.ndarray:
    """Put each joint that is still missing at the nearest joint of the skeleton's tree, its parent first.

    Its other channels stay 0: nothing was measured.

    Returns:
        a copy.
    """
    placed = keypoint.copy()
    missing = missing_joints(keypoint, D)
    for joint in np.flatnonzero(missing.any(axis=(0, 1))):
        open_ = missing[:, :, joint].copy()
        for other in _along_the_tree(int(joint), layout):
            take = open_ & ~missing[:, :, other]
            placed[take, joint, :D] = keypoint[take, other, :D]
            open_ &= ~take
    return placed


def locate(keypoint: np.ndarray, joint: JointOrMean, D: int, layout: SkeletonLayout) -> np.ndarray:
    """Position of a joint, or the mean of several, also in frames in which it is missing: ``(M, T, C)``.

    In such a frame the position is interpolated in time. A mean ignores joints that are never seen. A joint that is
    never seen, or a mean of such, takes the position of :func:`place_unseen`.
    """
    direct = layout.locate(keypoint, joint)
    if not np.isnan(direct).any():
        return direct
    filled = fill_in_time(keypoint, D)
    complete = place_unseen(filled, D, layout)
    if isinstance(joint, int):
        return layout.locate(complete, joint)
    places, seen = filled[:, :, list(joint)], ~missing_joints(filled, D)[:, :, list(joint)]
    total = np.where(seen[..., None], places, 0).sum(axis=2) / np.maximum(seen.sum(axis=2), 1)[..., None]
    any_seen = np.asarray(seen.any(axis=2))[..., None]
    return np.asarray(np.where(any_seen, total, layout.locate(complete, joint)).astype(keypoint.dtype))


def _along_the_tree(joint: int, layout: SkeletonLayout) -> list[int]:
    """The other joints by their distance in the tree, parents before children."""
    order = [joint]
    for at in order:
        children = [child for child, parent in layout.bones if parent == at]
        order += [other for other in (layout.parents[at], *children) if other not in order]
    return order[1:]


def missing_share(frames: np.ndarray, offset: np.ndarray, D: int) -> np.ndarray:
    """For each clip the share of missing joints among those of the present persons, ``(N,)``.

    Args:
        frames: ``(rows, V, C)``, the clips of a packed set end to end.
        offset: ``(N,)`` the first row of each clip.
        D: number of coordinates.
    """
    lost, seen = np.zeros(len(frames)), np.zeros(len(frames))
    for start in range(0, len(frames), ROWS):
        rows = np.asarray(frames[None, start : start + ROWS])
        lost[start : start + ROWS] = missing_joints(rows, D)[0].sum(axis=1)
        seen[start : start + ROWS] = present(rows)[0] * frames.shape[1]
    return np.asarray(np.add.reduceat(lost, offset) / np.maximum(np.add.reduceat(seen, offset), 1))


def sound_rows(rows: np.ndarray, D: int, has_missing: bool) -> np.ndarray:
    """Which rows ``(rows, V, C)`` hold only numbers and missing joints, ``(rows,)``.

    Args:
        rows: persons in frames.
        D: number of coordinates.
        has_missing: the set has missing joints, whose coordinates are all NaN. Otherwise any NaN is a fault.
    """
    if not has_missing:
        return np.asarray(np.isfinite(rows).all(axis=(1, 2)))
    nan = np.isnan(rows)
    whole = nan[..., :D].all(axis=2) == nan[..., :D].any(axis=2)
    return np.asarray(whole.all(axis=1) & ~nan[..., D:].any(axis=(1, 2)) & ~np.isinf(rows).any(axis=(1, 2)))


def broken_value(clip: np.ndarray, channels: Sequence[str], layout: SkeletonLayout) -> str:
    """The first value that is no number, no missing joint's, or absurd, with its place; empty where none is.

    Args:
        clip: ``(M, T, V, C)``.
        channels: names of the C values. NaN coordinates are a missing joint; any other NaN, infinity, and coordinates
            beyond :data:`FARTHEST` are broken.
        layout: of the joints.
    """
    D = num_coordinates(channels)
    broken = np.isinf(clip)
    broken[..., D:] |= np.isnan(clip[..., D:])
    with np.errstate(invalid='ignore'):
        broken[..., :D] |= np.abs(clip[..., :D]) > FARTHEST
    if not broken.any():
        return ''
    person, frame, joint, channel = np.argwhere(broken)[0]
    where = f'person {person}, frame {frame}, joint {layout.joints[joint]}'
    value, name = clip[person, frame, joint, channel], 'coordinate' if channel < D else channels[channel]
    return f'absurd {name} {value:g} at {where}' if np.isfinite(value) else f'NaN or infinite {name} at {where}'
