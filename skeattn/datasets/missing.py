"""Who and what is there: absent persons, missing joints.

Two values stand for what was not seen, in packed sets, in the pipeline and in arrays that are embedded:

* An **absent person** is all zero in a frame.
* A **missing joint** of a person who is there has NaN coordinates; its other channels, such as a score, are 0.

A person of whom no joint is there is absent. Persons who are ever there precede those who never are.
"""

from collections.abc import Sequence

import numpy as np

from skeattn.channels import AXES, BY_COUNT, num_coordinates
from skeattn.skeletons import SkeletonLayout

SCORES = ('score', 'confidence', 'conf', 'visibility', 'likelihood', 'probability')
"""Names of a channel in which 0 says that a joint was not detected."""


def mark_missing(keypoint: np.ndarray, channels: Sequence[str] | None, layout: SkeletonLayout) -> np.ndarray:
    """Turn what formats write for undetected joints into missing joints.

    A joint of a person who is there is missing where

    * a coordinate or its score is NaN;
    * its score is 0 or less, unless no score of the clip is above 0 (then nobody wrote scores);
    * all its coordinates are -1;
    * in 2-D, it lies at (0, 0), the corner of the image. One joint of the trunk (root, hip, spine) that lies there in
      every frame, with other joints on both sides of it, is the origin of centred coordinates and stays;
    * in 3-D, it lies at (0, 0, 0) and the body is elsewhere: all its other joints are farther from the origin than the
      body is large. So the place of the camera is no joint, but a joint at the origin of centred coordinates stays.

    A person of whom nothing is left in a frame becomes absent there. A zero in one coordinate alone and absent persons
    stay as they are. Marking twice changes nothing more.

    Args:
        keypoint: ``(M, T, V, C)``, in the units of the source and before any centring of the converter's.
        channels: names of the C values; None: by their number.
        layout: of the joints.

    Returns:
        the same array where nothing is missing, otherwise a copy. An array of another shape is returned as it is, since
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
    return settle(keypoint, D, missing & keypoint.any(axis=(2, 3))[:, :, None])


def _origin_of_plane(places: np.ndarray, zero: np.ndarray, missing: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """(V,): the joint on which 2-D coordinates are centred, if they are."""
    there = (~zero & ~missing).any(axis=2)
    always = (zero | ~there[:, :, None]).all(axis=(0, 1))
    ends = (layout.root, layout.hip, *layout.spine)
    trunk = [joint for end in ends for joint in ((end,) if isinstance(end, int) else end)]
    seen = places[~zero & ~missing]
    around = len(seen) > 0 and (seen.min(axis=0) < 0).any() and (seen.max(axis=0) > 0).any()
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
    """Make joints missing as a whole, and persons without a joint absent.

    Args:
        keypoint: ``(M, T, V, C)``.
        D: number of coordinates; any that is NaN makes the joint missing.
        missing: ``(M, T, V)`` further missing joints.

    Returns:
        the same array where nothing is missing, otherwise a copy.
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
    """Which person is there in which frame, ``(M, T)`` bool: one of whom any joint is neither zero nor missing."""
    return np.asarray((np.abs(keypoint) > 0).any(axis=(2, 3)))
