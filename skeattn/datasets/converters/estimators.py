"""What JSON of pose estimators shares: persons listed frame by frame become an array, and a format is recognised."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from skeattn import reading
from skeattn.datasets.converters.persons import UNKNOWN
from skeattn.errors import DataError

XY_SCORE: dict[int, tuple[str, ...]] = {3: ('x', 'y', 'score')}
# Frames are numbered by their files; numbers that leave more gaps than frames count something else, such as time.
MOST_GAPS = 10
_LARGEST = np.iinfo(np.int64).max

LANDMARKS = {'landmarks', 'pose_landmarks', 'poseLandmarks', 'pose_world_landmarks', 'poseWorldLandmarks'}

# Of a frame, each person's joints (V, C) and number, UNKNOWN where there is none.
Frame = list[tuple[np.ndarray, int]]


def assemble(path: str, frames: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """Keypoint ``(M, T, V, C)`` by the place in each frame's list, and the numbers ``(M, T)`` of the persons.

    Raises:
        DataError: no person is in any frame, persons have different shapes, or are no joints with values.
    """
    shapes = {pose.shape for frame in frames for pose, _ in frame}
    if not shapes:
        raise DataError(f'{path}: no person is present in any of {len(frames)} frames')
    if len(shapes) > 1:
        counts = ' and '.join(str(shape[0]) for shape in sorted(shapes))
        raise DataError(f'{path}: persons of {counts} joints in one clip')
    if len(shape := shapes.pop()) != 2:
        raise DataError(f'{path}: a person is an array of shape {shape}, not (joints, values of a joint)')
    M, T = max(map(len, frames)), len(frames)
    keypoint, ids = np.zeros((M, T, *shape), np.float32), np.full((M, T), UNKNOWN)
    for t, frame in enumerate(frames):
        for m, (pose, number) in enumerate(frame):
            with np.errstate(over='ignore'):  # becomes infinite, which the writer refuses by name
                keypoint[m, t] = pose
            ids[m, t] = number
    return keypoint, ids


def at_their_numbers(numbered: Sequence[tuple[int, Frame]]) -> list[Frame]:
    """Frames by number, with empty ones where numbers are left out; in their order where the numbers are no frames."""
    merged: dict[int, Frame] = {}
    for number, frame in numbered:
        merged.setdefault(number, []).extend(frame)
    order = sorted(merged)
    if not order or order[-1] - order[0] + 1 > MOST_GAPS * len(order):
        return [merged[number] for number in order]
    return [merged.get(number, []) for number in range(order[0], order[-1] + 1)]


def parse_json(path: str, content: bytes) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: it is none.
    """
    try:
        return reading.parse_json(content)
    except (ValueError, MemoryError) as error:
        raise DataError(f'{path} is no JSON, or truncated ({error!r:.200})') from error


def pose_of(values: Any, width: int) -> np.ndarray | None:
    """A flat list of numbers as ``(V, width)``, NaN for null; None where the list is empty.

    Raises:
        ValueError, TypeError: it is no such list.
    """
    array = np.asarray(values if values is not None else [], dtype=float).ravel()
    return array.reshape(-1, width) if array.size else None


def number_of(value: Any) -> int:
    """A person's number, also in a list, as text or with a point; :data:`UNKNOWN` below 0, and for anything else."""
    while isinstance(value, list) and value:
        value = value[0]
    try:
        number = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN
    return number if 0 <= number <= _LARGEST else UNKNOWN


def last_number(name: Any) -> int | None:
    """The last run of digits in the name of an image, without its suffix."""
    stem = PurePosixPath(str(name).replace('\\', '/')).name
    runs = re.findall(r'\d+', re.sub(r'\.[A-Za-z]\w*$', '', stem))
    return int(runs[-1][-18:]) if runs else None


def look_like(content: bytes) -> str:
    """The end of a message: the format whose files look like this one, if there is any."""
    try:
        value = reading.parse_json(content)
    except (ValueError, MemoryError):
        return ''
    return _hint(recognise(value))


def _hint(name: str) -> str:
    return f'; it looks like a file of the format {name}: skeattn convert {name}' if name else ''


def recognise(value: Any) -> str:
    """The format of a JSON value, such as ``'openpose'``, or empty."""
    first = next((item for item in value if item), None) if isinstance(value, list) else value
    if isinstance(first, dict) and isinstance(value, list):
        if 'keypoints' in first and 'image_id' in first:
            return 'alphapose'
        if 'instances' in first or 'keypoint_scores' in first:
            return 'mmpose'
        return 'mediapipe' if LANDMARKS & first.keys() else ''
    if isinstance(first, list):
        inner = next((item for item in first if item), None)
        return 'mediapipe' if isinstance(inner, dict) and {'x', 'y'} <= inner.keys() else ''
    if isinstance(value, dict):
        if 'instance_info' in value:
            return 'mmpose'
        if 'annotations' in value and 'images' in value:
            return 'coco'
        if isinstance(value.get('people'), list):
            return 'openpose'
        if isinstance(value.get('data'), list):
            return 'kinetics'
        if LANDMARKS & value.keys() or isinstance(value.get('frames'), list):
            return 'mediapipe'
        if value and all(key.isdecimal() and isinstance(item, list) for key, item in value.items()):
            return 'mediapipe'
        if any(isinstance(item, dict) and ({'bodies', 'people'} & item.keys()) for item in value.values()):
            return 'alphapose'
    return ''


def misread(path: str, what: str, value: Any, name: str) -> DataError:
    """The error for JSON of another form than that of the format ``name``."""
    other = recognise(value)
    return DataError(f'{path}: it is no {what}{_hint(other) if other != name else ""}')
