"""What a 2-D pose estimator would say of generated clips: pixels and scores of COCO's joints."""

from collections.abc import Iterator

import numpy as np

from skeattn.datasets.synthetic import SyntheticClip, generate
from skeattn.skeletons import get_layout

# Joints of the face stand around the head, in shares of the shoulders' width: right, up.
_FACE = {'nose': (0, 0), 'left_eye': (-0.1, 0.1), 'right_eye': (0.1, 0.1), 'left_ear': (-0.2, 0), 'right_ear': (0.2, 0)}
HEIGHT, WIDTH = 1080, 1920


def detections(clips: int, seed: int = 0) -> Iterator[tuple[SyntheticClip, np.ndarray]]:
    """Generated clips, each with the detections of its first person, ``(T, 17, 3)``: x, y in pixels, y down, score."""
    rng = np.random.default_rng(seed)
    coco, kinect = get_layout('coco17'), get_layout('ntu25')
    for clip in generate(seed, clips):
        person = clip.keypoint[0].astype(np.float64)
        left, right = kinect.shoulders
        across = np.linalg.norm(person[:, right] - person[:, left], axis=1, keepdims=True)
        points = np.zeros((len(person), coco.num_joints, 3))
        for j, joint in enumerate(coco.joints):
            points[:, j] = person[:, kinect.joint('head' if joint in _FACE else joint)]
            points[:, j, :2] += across * _FACE.get(joint, (0, 0))
        there = person.any(axis=(1, 2))
        depth = np.maximum(points[..., 2], 0.5)
        pixels = np.stack([points[..., 0] / depth + WIDTH / HEIGHT / 2, 0.5 - points[..., 1] / depth], axis=-1) * HEIGHT
        score = rng.uniform(0.5, 1, pixels.shape[:2])
        yield clip, np.concatenate([pixels, score[..., None]], axis=-1).astype(np.float32) * there[:, None, None]
