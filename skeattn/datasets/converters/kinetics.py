"""Kinetics-skeleton: one .json file a clip, persons of OpenPose's COCO model frame by frame, the label inside

A file holds ``data``, a list of ``{"frame_index", "skeleton": [{"pose": [x, y, ...], "score": [...]}]}``, and ``label``
and ``label_index``. A table labels.csv, if there is one, goes before these. Files in folders called train and val (or
test) are the sides of the split ``split``. Coordinates are shares of the image; (0, 0) is not detected.
"""

import re
from pathlib import PurePosixPath

import numpy as np

from skeattn.datasets.converters.clips import TESTS, TRAINS
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
from skeattn.datasets.converters.members import Content, FileOf, whole_file

LAYOUTS = {18: 'openpose18', 17: 'coco17', 25: 'body25'}
_SIDE = re.compile(r'(?:^|[_-])(train|val|validation|test)(?:$|[_-])', re.IGNORECASE)

_LIST = re.compile(r'(?:train|val|validation|test)_label\.json$', re.IGNORECASE)


def file_of(inner: str) -> FileOf | None:
    """A clip a file; the lists of labels that come with the clips repeat what these hold."""
    return None if _LIST.search(inner) else whole_file(inner)


def read_clip(content: Content) -> tuple[np.ndarray, np.ndarray]:
    """Keypoint ``(M, T, V, 3)`` and numbers of the persons ``(M, T)``.

    Raises:
        DataError: the file is not of this form, or no person is in it.
    """
    ((path, text),) = content
    value = parse_json(path, text)
    numbered: list[tuple[int, Frame]] = []
    try:
        for place, item in enumerate(value['data']):
            frame: Frame = []
            for person in item['skeleton']:
                pose, score = pose_of(person['pose'], 2), pose_of(person.get('score'), 1)
                if pose is not None and np.nan_to_num(pose).any():
                    score = np.ones((len(pose), 1)) if score is None else score
                    frame.append((np.concatenate([pose, score], axis=1), number_of(person.get('person_id'))))
            numbered.append((int(item.get('frame_index', place)), frame))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        what = f'file of Kinetics-skeleton, "data" with "skeleton", "pose" and "score" ({error!r:.100})'
        raise misread(path, what, value, 'kinetics') from error
    return assemble(path, at_their_numbers(numbered))


def label_of(inner: str, path: str, content: bytes) -> tuple[str, dict[str, int]]:
    """The label of a clip, empty where its file has none, and its side of the split.

    Raises:
        DataError: the file is no JSON.
    """
    value = parse_json(path, content)
    label = value.get('label') if isinstance(value, dict) else None
    if label in (None, '') and isinstance(value, dict):
        label = value.get('label_index')
    parts = [match[1].lower() for part in PurePosixPath(inner).parent.parts if (match := _SIDE.search(part))]
    sides = {'split': TRAINS if parts[-1] == 'train' else TESTS} if parts else {}
    return '' if label is None else str(label), sides


FORMAT = ClipFolder(('.json',), read_clip, file_of, channels=XY_SCORE, layouts=LAYOUTS, label=label_of)
convert = FORMAT.convert
