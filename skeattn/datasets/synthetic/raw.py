"""Clips as raw NTU RGB+D ``.skeleton`` text, as the sensor's recorder writes them."""

import os

import numpy as np

from skeattn.datasets.synthetic.body import LAYOUT
from skeattn.errors import DataError
from skeattn.files import write_text

FIRST_ID = 72057594037931101  # 17 digits, more than a float64 holds, as in the real files
# Focal length and centre of the depth and the colour image, in pixels.
_DEPTH, _COLOUR = (365.0, 256.0, 212.0), (1060.0, 960.0, 540.0)
_TRACKED = 2
_BODY_LINE = '{} 0 1 1 1 1 0 {:.7g} {:.7g} 2\n{}\n'
_JOINT_LINES = ('%.7g ' * 11 + f'{_TRACKED}\n') * LAYOUT.num_joints


def write_skeleton_file(
    path: str | os.PathLike[str], keypoint: np.ndarray, body_ids: np.ndarray | list[int] | None = None
) -> None:
    """Write one clip as a raw ``.skeleton`` file.

    Bodies are listed in the order of ``keypoint``; a body that is all zero in a frame is omitted, so a frame can
    have no body. Image coordinates, orientations and lean are invented but plausible; floats have 7 digits.

    Args:
        path: the file; its folder must exist.
        keypoint: ``(M, T, 25, 3)`` metres in camera coordinates.
        body_ids: tracking id of each body, integers ``(M,)`` or, where bodies change places, ``(M, T)``.

    Raises:
        DataError: wrong shape, non-finite values, or ids that are not integers.
    """
    keypoint = np.asarray(keypoint, dtype=np.float64)
    if keypoint.ndim != 4 or keypoint.shape[2:] != (LAYOUT.num_joints, 3) or not np.isfinite(keypoint).all():
        raise DataError(
            f'{path}: a raw clip must be finite and of shape (M, T, {LAYOUT.num_joints}, 3), not {keypoint.shape}'
        )
    M, T = keypoint.shape[:2]
    ids = np.arange(M) + FIRST_ID if body_ids is None else np.asarray(body_ids)
    if ids.dtype.kind not in 'iu':
        raise DataError(f'{path}: tracking ids must be integers, {ids.dtype} cannot hold all digits')
    ids = np.broadcast_to(ids[:, None] if ids.ndim == 1 else ids, (M, T))
    present: np.ndarray = np.any(keypoint, axis=(2, 3))
    columns = _columns(keypoint)
    lean = keypoint[:, :, LAYOUT.spine[1]] - keypoint[:, :, LAYOUT.spine[0]]
    text = [f'{T}\n']
    for t in range(T):
        listed = np.flatnonzero(present[:, t])
        text.append(f'{len(listed)}\n')
        for m in listed:
            text.append(_BODY_LINE.format(ids[m, t], lean[m, t, 0], -lean[m, t, 2], LAYOUT.num_joints))
            text.append(_JOINT_LINES % tuple(columns[m, t].ravel().tolist()))
    write_text(path, ''.join(text))


def _columns(keypoint: np.ndarray) -> np.ndarray:
    """``(M, T, V, 11)``: position, place in the depth and the colour image, orientation (w, x, y, z)."""
    depth = np.maximum(keypoint[..., 2:], 0.1)
    images = [
        centre + sign * focal * keypoint[..., axis : axis + 1] / depth
        for focal, *centres in (_DEPTH, _COLOUR)
        for axis, (centre, sign) in enumerate(zip(centres, (1, -1), strict=True))
    ]
    bone = keypoint - keypoint[:, :, list(LAYOUT.parents)]
    bone /= np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
    # The shortest turn that takes the vertical to the bone.
    turn = np.stack([1 + bone[..., 1], bone[..., 2], np.zeros_like(bone[..., 0]), -bone[..., 0]], axis=-1)
    turn /= np.maximum(np.linalg.norm(turn, axis=-1, keepdims=True), 1e-9)
    return np.concatenate([keypoint, *images, turn], axis=-1)
