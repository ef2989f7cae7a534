"""Raw NTU RGB+D files, read line by line as the released readers do."""

from pathlib import Path
from typing import Any

import numpy as np

from skeattn.datasets import PackedWriter
from skeattn.datasets.converters import ntu
from skeattn.datasets.splits import SPLITS

BODY_KEYS = [
    *('bodyID', 'clipedEdges', 'handLeftConfidence', 'handLeftState', 'handRightConfidence', 'handRightState'),
    *('isResticted', 'leanX', 'leanY', 'trackingState'),
]
JOINT_KEYS = [
    *('x', 'y', 'z', 'depthX', 'depthY', 'colorX', 'colorY'),
    *('orientationW', 'orientationX', 'orientationY', 'orientationZ', 'trackingState'),
]
MINIMAL = ('1\n1\n' + '1 ' * 10 + '25\n' + '1 ' * 300).encode()
"""The smallest file that our parser accepts, to obtain the columns of a name."""


def convert_line_by_line(raw: Path, out: Path) -> None:
    """A packed set of a folder: every value of every line into a dict, then the frames joint by joint."""
    classes = [f'class {i}' for i in range(60)]
    with PackedWriter(out, 'ntu60', 'ntu25', classes, SPLITS['ntu60']) as writer:
        for file in sorted(raw.iterdir()):
            keypoint = line_by_line(file)
            name, _, columns, *_ = ntu.parse(str(file), MINIMAL)
            writer.add(name, keypoint, **columns)


def line_by_line(path: Path) -> np.ndarray:
    """``(M, T, 25, 3)`` of one file."""
    frames = []
    with open(path) as file:
        for _ in range(int(file.readline())):
            bodies = []
            for _ in range(int(file.readline())):
                body: dict[str, Any] = dict(zip(BODY_KEYS, map(float, file.readline().split()), strict=True))
                body['joints'] = []
                for _ in range(int(file.readline())):
                    body['joints'].append(dict(zip(JOINT_KEYS, map(float, file.readline().split()), strict=True)))
                bodies.append(body)
            frames.append(bodies)
    persons = min(max(map(len, frames)), 2)
    keypoint = np.zeros((persons, len(frames), 25, 3), np.float32)
    for t, bodies in enumerate(frames):
        for m, body in enumerate(bodies[:2]):
            for v, joint in enumerate(body['joints']):
                keypoint[m, t, v] = joint['x'], joint['y'], joint['z']
    return keypoint
