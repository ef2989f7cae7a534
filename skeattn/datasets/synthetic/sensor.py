"""How a depth camera records a body: view, jitter, frozen and inferred joints, missed frames, swapped bodies."""

import numpy as np

from skeattn.datasets.synthetic.body import LAYOUT

PARENTS = np.array(LAYOUT.parents)


def _hops() -> np.ndarray:
    """Distance of every joint from the root, in bones: the further out, the worse it is tracked."""
    hops = np.zeros(LAYOUT.num_joints)
    for joint in range(LAYOUT.num_joints):
        at = joint
        while at != LAYOUT.root:
            at = PARENTS[at]
            hops[joint] += 1
    return hops


UNREST = 0.4 + 0.25 * _hops()


def seen_from(points: np.ndarray, camera: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Points ``(..., 3)`` of the room, standing on the origin, in the coordinates of a camera.

    Args:
        points: metres, y up.
        camera: yaw, pitch (positive looks down) and roll in radians.
        place: position of the origin in front of the camera.
    """
    (cy, cp, cr), (sy, sp, sr) = np.cos(camera), np.sin(camera)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    middle = np.array([0, 0.9, 0])
    return (points - middle) @ (roll @ pitch @ yaw).T + place


def disturb(rng: np.random.Generator, keypoint: np.ndarray) -> np.ndarray:
    """Jitter, freezes and inferred joints on one body ``(T, V, 3)`` in metres."""
    from scipy.signal import lfilter  # slow to load, and only generated clips need it

    T, V, _ = keypoint.shape
    level = 0.004 * np.exp(rng.normal(0, 0.3))
    white = rng.normal(size=(T + 20, V, 3)) * UNREST[:, None]
    # First-order low-pass of unit variance: jitter of neighbouring frames is correlated.
    jitter = lfilter([0.6], [1, -0.8], white, axis=0)[20:]
    noisy = keypoint + level * jitter
    parts = [tuple(sorted(members)) for members in LAYOUT.parts.values()]  # by number, as the clips were first drawn
    for _ in range(rng.poisson(0.7)):
        joints, start, length = _event(rng, T, parts)
        noisy[start : start + length, joints] = noisy[start, joints]
    for _ in range(rng.poisson(0.7)):
        joints, start, length = _event(rng, T, parts)
        joints = joints[-2:]
        pulled = noisy[start : start + length, PARENTS[joints]]
        share = rng.uniform(0.3, 0.8)
        noisy[start : start + length, joints] += share * (pulled - noisy[start : start + length, joints])
    return noisy


def _event(rng: np.random.Generator, frames: int, parts: list[tuple[int, ...]]) -> tuple[np.ndarray, int, int]:
    joints = np.array(parts[rng.integers(len(parts))])
    return joints, int(rng.integers(frames)), int(rng.integers(3, 11))


def miss(rng: np.random.Generator, frames: int, persons: int) -> tuple[np.ndarray, np.ndarray]:
    """Which bodies the tracker reports, and in which order.

    Returns:
        ``(M, T)`` bool, body detected; ``(T,)`` bool, the bodies are listed in reverse order.
    """
    detected = np.ones((persons, frames), dtype=bool)
    for person in range(persons):
        if rng.random() < 0.12:
            start = rng.integers(frames)
            detected[person, start : start + rng.integers(1, 4)] = False
    swapped = np.zeros(frames, dtype=bool)
    if rng.random() < 0.04:
        start = rng.integers(frames)
        swapped[start : start + rng.integers(3, 16)] = True
    return detected, swapped
