"""AlphaPose: one .json file of results a clip, and a table labels.csv with a row for each

A file is a list of detections, ``image_id`` (which tells the frame), ``keypoints`` (x, y, score of every joint),
``score`` and, where persons were tracked, ``idx``; or the same by image, as in its forms ``open`` and ``cmu``.
"""

from typing import Any

import numpy as np

from skeattn.datasets.converters.estimators import (
    XY_SCORE,
    Frame,
    assemble,
    at_their_numbers,
    last_number,
    misread,
    number_of,
    parse_json,
    pose_of,
)
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import Content

LAYOUTS = {17: 'coco17', 18: 'openpose18'}
_KEYS = ('keypoints', 'joints', 'pose_keypoints_2d')


def read_clip(content: Content) -> tuple[np.ndarray, np.ndarray]:
    """Keypoint ``(M, T, V, 3)`` and numbers of the persons ``(M, T)``.

    Raises:
        DataError: the file is not of this form, or no person is in it.
    """
    ((path, text),) = content
    value = parse_json(path, text)
    order: dict[Any, int] = {}
    frames: list[tuple[int, Frame]] = []
    try:
        for image, person in _detections(value):
            number = last_number(image)
            place = order.setdefault(str(image), len(order)) if number is None else number
            pose = pose_of(next(person[key] for key in _KEYS if key in person), 3)
            if pose is not None and np.nan_to_num(pose).any():
                frames.append((place, [(pose, number_of(person.get('idx', person.get('track_id'))))]))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, StopIteration) as error:
        what = f'file of AlphaPose, a list of "image_id" and "keypoints" of 3 values a joint ({error!r:.100})'
        raise misread(path, what, value, 'alphapose') from error
    return assemble(path, at_their_numbers(frames))


def _detections(value: Any) -> list[tuple[Any, Any]]:
    """(image, person) of each detection."""
    if isinstance(value, dict):
        return [(image, person) for image, frame in value.items() for person in frame.get('bodies') or frame['people']]
    return [(person['image_id'], person) for person in value]


FORMAT = ClipFolder(('.json',), read_clip, channels=XY_SCORE, layouts=LAYOUTS)
convert = FORMAT.convert
