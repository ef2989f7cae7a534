"""Tiny archives in the formats of the small Kinect sets, as their documentation and public readers describe them."""

import numpy as np

from tests.datasets.raw import clip

MSR_JOINTS = (
    'right_shoulder', 'left_shoulder', 'shoulder_centre', 'spine', 'right_hip', 'left_hip', 'hip_centre',
    'right_elbow', 'left_elbow', 'right_wrist', 'left_wrist', 'right_hand', 'left_hand',
    'right_knee', 'left_knee', 'right_ankle', 'left_ankle', 'right_foot', 'left_foot', 'head',
)  # fmt: skip
TICKS = 49.875


def text(rows, separator=' ') -> bytes:
    return ''.join(separator.join(f'{value:.6g}' for value in row) + '\n' for row in rows).encode()


def msraction3d(keypoint) -> bytes:
    """A joint a row: x, y, z, confidence."""
    rows = keypoint.reshape(-1, 3)
    return text(np.concatenate([rows, np.full((len(rows), 1), 0.7)], axis=1))


def kard(keypoint) -> bytes:
    """A joint a row, millimetres."""
    return text(keypoint.reshape(-1, 3) * 1000)


def sbu(persons) -> bytes:
    """A frame a row: its number, then two normalised persons; a joint at 0 is stored as 0."""
    stored = (persons * 1000 - [1280, 960, 0]) / [-2560, -1920, 10000 / 7.8125]
    stored[~persons.any(axis=-1)] = 0
    rows = stored.swapaxes(0, 1).reshape(persons.shape[1], -1)
    return text(np.concatenate([np.arange(1, len(rows) + 1)[:, None], rows], axis=1), ',')


def florence3d(videos) -> bytes:
    """A frame a row: video, actor, action, 45 millimetres; ``videos`` are (video, actor, action, keypoint)."""
    rows = [[*numbers, *frame.ravel()] for *numbers, keypoint in videos for frame in np.asarray(keypoint, float) * 1000]
    return text(rows)


def utkinect(frames, keypoint) -> bytes:
    """A frame a row: its number and 60 metres."""
    return text([[number, *frame.ravel()] for number, frame in zip(frames, keypoint, strict=True)], '  ')


def msrc12(times, keypoint) -> bytes:
    """A frame a row: microseconds and 20 x (x, y, z, 1), all 0 where nobody is seen."""
    seen = keypoint.any(axis=-1, keepdims=True).astype(float)
    rows = np.concatenate([keypoint, seen], axis=-1).reshape(len(times), -1)
    return ''.join(
        f'{time} ' + ' '.join(f'{v:.6g}' for v in row) + '\n' for time, row in zip(times, rows, strict=True)
    ).encode()


def tagstream(times, gesture, name='Kick') -> bytes:
    lines = [f'{round(time * TICKS)};G{gesture} {name}' for time in times]
    return '\n'.join(['XQPCTick;Tag', *lines, '']).encode()


def poses(seed, frames=4, joints=20, persons=None) -> np.ndarray:
    """``(T, V, 3)`` metres, or ``(M, T, V, 3)``."""
    keypoint = clip(seed, persons or 1, frames, joints).astype(float)
    return keypoint if persons else keypoint[0]
