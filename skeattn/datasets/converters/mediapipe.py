"""MediaPipe Pose: one .json file of landmarks a clip, 33 a frame, and a table labels.csv with a row for each

A file is a list of frames, or a dict that holds it as ``frames``, ``landmarks`` or ``pose_landmarks``, or holds each
frame by its number. A frame is a list of landmarks, each ``{"x", "y", "z",
"visibility"}`` or ``[x, y, z, visibility]``; a list of such lists, a person each; a dict that holds one of these as
``landmarks`` or ``pose_landmarks``; or null or empty where no person was found.
"""

from typing import Any

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters.estimators import LANDMARKS, Frame, assemble, at_their_numbers, misread, parse_json
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import Content
from skeattn.datasets.converters.persons import UNKNOWN

CHANNELS: dict[int, tuple[str, ...]] = {3: AXES, 4: (*AXES, 'visibility')}
LAYOUTS = {33: 'mediapipe33'}
_VALUES = (*AXES, 'visibility')


def read_clip(content: Content) -> tuple[np.ndarray, np.ndarray]:
    """Keypoint ``(M, T, 33, 4)``, or with 3 values where there is no visibility, and numbers of the persons.

    Raises:
        DataError: the file is not of this form, or no person is in it.
    """
    ((path, text),) = content
    value = parse_json(path, text)
    try:
        frames = _frames(value)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        what = f'file of MediaPipe, a list of frames of landmarks with x, y, z and visibility ({error!r:.100})'
        raise misread(path, what, value, 'mediapipe') from error
    return assemble(path, frames)


def _frames(value: Any) -> list[Frame]:
    if isinstance(value, dict) and value and all(key.isdecimal() for key in value):
        return at_their_numbers([(int(key), _frame(frame)) for key, frame in value.items()])
    if isinstance(value, dict) and 'frames' not in value:
        key = next((key for key in sorted(LANDMARKS) if key in value), 'frames')
        first = next((item for item in value[key] if item), None)
        value = {'frames': [value] if isinstance(first, dict) and 'x' in first else value[key]}
    return [_frame(frame) for frame in (value['frames'] if isinstance(value, dict) else value)]


def _frame(value: Any) -> Frame:
    if isinstance(value, dict):
        if value and not LANDMARKS & value.keys():
            raise KeyError('landmarks')
        value = next((value[key] for key in sorted(LANDMARKS) if key in value), None)
        if isinstance(value, dict):  # a message of protobuf
            value = value['landmark']
    if not value:
        return []
    several = isinstance(value[0], list) and value[0] and isinstance(value[0][0], dict | list)
    persons = value if several else [value]
    return [(np.array([_landmark(joint) for joint in person], float), UNKNOWN) for person in persons if person]


def _landmark(joint: Any) -> list[float]:
    if isinstance(joint, dict):
        return [joint[name] for name in _VALUES if name in joint or name in AXES]
    if not isinstance(joint, list):  # text has characters, too
        raise TypeError(f'a landmark is {joint!r:.20}, neither a dict nor a list')
    return joint[:4]


FORMAT = ClipFolder(('.json',), read_clip, channels=CHANNELS, layouts=LAYOUTS)
convert = FORMAT.convert
