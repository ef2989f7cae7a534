"""Small packed sets and raw NTU text for the tests of this folder."""

from pathlib import Path

import numpy as np

from skeattn.datasets import PackedWriter

SPLITS = {'xsub': {'field': 'subject', 'train': [1, 3]}, 'xview': {'field': 'camera', 'train': [9]}}


def clip(seed: int = 0, persons: int = 1, frames: int = 4, joints: int = 20) -> np.ndarray:
    """Coordinates that float32 and four decimals hold exactly enough, none of them zero."""
    rng = np.random.default_rng(seed)
    return (0.5 + rng.random((persons, frames, joints, 3))).round(4).astype(np.float32)


# Kinect v1, metres, a standing person.
BODY = [
    (0, 0.9, 3), (0, 1.05, 3), (0, 1.4, 3), (0, 1.6, 3),
    (-0.18, 1.38, 3), (-0.25, 1.12, 3), (-0.28, 0.88, 2.95), (-0.28, 0.8, 2.93),
    (0.18, 1.38, 3), (0.25, 1.12, 3), (0.28, 0.88, 2.95), (0.28, 0.8, 2.93),
    (-0.09, 0.85, 3), (-0.1, 0.45, 2.98), (-0.1, 0.08, 3), (-0.1, 0.02, 2.9),
    (0.09, 0.85, 3), (0.1, 0.45, 2.98), (0.1, 0.08, 3), (0.1, 0.02, 2.9),
]  # fmt: skip


def body(seed: int = 0, persons: int = 1, frames: int = 4) -> np.ndarray:
    """Persons of ``kinect20`` who stand at different places, their joints moved a little."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1, 1, (persons, 1, 1, 3)) * [1, 0.1, 1]
    return (np.array(BODY) + places + rng.normal(0, 0.01, (persons, frames, 20, 3))).astype(np.float32)


def write_set(out: Path, clips: int = 6, overwrite: bool = False, frames: int = 4) -> Path:
    """Clips ``c0 ...`` of 1 or 2 persons and growing length; label i % 3, subject 1..4, camera -1."""
    with PackedWriter(out, 'toy', 'kinect20', ['a', 'b', 'c'], SPLITS, overwrite) as writer:
        for i in range(clips):
            writer.add(f'c{i}', clip(i, 1 + i % 2, frames + i), label=i % 3, subject=1 + i % 4)
    return out


def skeleton_text(keypoint: np.ndarray, newline: str = '\n') -> bytes:
    """Raw NTU text of ``(M, T, 25, 3)``; a person that is all zero in a frame is not listed there."""
    lines = [str(keypoint.shape[1])]
    for frame in keypoint.transpose(1, 0, 2, 3):
        bodies = [body for body in frame if body.any()]
        lines.append(str(len(bodies)))
        for number, body in enumerate(bodies):
            lines += [f'7205759403793{number:04d} 0 1 1 1 1 0 0.01 -0.3 2', str(len(body))]
            lines += [f'{x:.7g} {y:.7g} {z:.7g} 256.4 201.8 991.1 511.1 -0.2 0.01 0.9 -0.05 2' for x, y, z in body]
    return newline.join([*lines, '']).encode()
