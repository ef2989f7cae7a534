"""OpenPose: one .json file a frame, in BODY_25, COCO-18 or any order, and a table labels.csv with a row for each clip

Frames are called ``NAME_000000000012_keypoints.json``, the clip NAME; or they lie in a folder a clip. A frame holds
``people``, each with ``pose_keypoints_2d``: x, y, score of every joint; (0, 0, 0) where it was not detected.
"""

import re
from pathlib import PurePosixPath

import numpy as np

from skeattn.datasets.converters.estimators import (
    XY_SCORE,
    Frame,
    assemble,
    at_their_numbers,
    misread,
    number_of,
    parse_json,
    pose_of,
)
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import Content, FileOf

LAYOUTS = {25: 'body25', 18: 'openpose18', 17: 'coco17'}
_FRAME = re.compile(r'(?:(.*?)[_.-]?)??(\d+)(?:_keypoints)?$', re.IGNORECASE)
_KEYS = ('pose_keypoints_2d', 'pose_keypoints')


def file_of(inner: str) -> FileOf:
    """The clip of a frame: its name before the number, or the folder of frames that are called by numbers alone."""
    path = PurePosixPath(inner)
    match = _FRAME.fullmatch(path.stem)
    if match is None:
        name = path.with_suffix('').as_posix().removesuffix('_keypoints')
        return FileOf(name, name)
    name = (path.parent / match[1]).as_posix() if match[1] else path.parent.as_posix()
    return FileOf(name, name, frame_number(inner))


def frame_number(path: str) -> int:
    """The number in a frame's name, 0 where there is none."""
    match = _FRAME.fullmatch(PurePosixPath(path.replace('\\', '/')).stem)
    return int(match[2][-18:]) if match else 0


def read_clip(content: Content) -> tuple[np.ndarray, np.ndarray]:
    """Keypoint ``(M, T, V, 3)`` and numbers of the persons ``(M, T)``.

    Raises:
        DataError: a file is not of this form, or no person is in any.
    """
    frames = [(frame_number(path), read_frame(path, parse_json(path, text))) for path, text in content]
    return assemble(content[0][0], at_their_numbers(frames))


def read_frame(path: str, value: object) -> Frame:
    """The persons of a frame.

    Raises:
        DataError: it is not of this form.
    """
    frame: Frame = []
    try:
        for person in value['people']:  # type: ignore[index]
            pose = pose_of(next(person[key] for key in _KEYS if key in person), 3)
            if pose is not None and np.nan_to_num(pose).any():
                frame.append((pose, number_of(person.get('person_id'))))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, StopIteration) as error:
        what = f'frame of OpenPose, "people" with "pose_keypoints_2d" of 3 values a joint ({error!r:.100})'
        raise misread(path, what, value, 'openpose') from error
    return frame


FORMAT = ClipFolder(('.json',), read_clip, file_of, XY_SCORE, LAYOUTS)
convert = FORMAT.convert
