"""MMPose: one .json file of predictions a clip, or one an image, and a table labels.csv with a row for each clip

A file is ``{"meta_info": ..., "instance_info": [...]}`` or the list alone. Of a video the list holds frames,
``{"frame_id", "instances": [{"keypoints", "keypoint_scores", "track_id"}]}``; of an image it holds the instances. Files
of images are called as frames of the format openpose. Joint names of ``meta_info`` are used where there are any.
"""

from typing import Any

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters import openpose
from skeattn.datasets.converters.estimators import Frame, assemble, at_their_numbers, misread, number_of, parse_json
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import Content
from skeattn.datasets.converters.named import NamedClip
from skeattn.errors import DataError

# By number of joints and of coordinates, where the file names no joints.
_USUAL = {(17, 2): 'coco17', (17, 3): 'h36m17', (25, 2): 'body25', (18, 2): 'openpose18'}
# Human3.6M calls these joints by other names here than the layout h36m17 does.
_H36M = {'root': 'pelvis', 'left_foot': 'left_ankle', 'right_foot': 'right_ankle', 'neck_base': 'neck'}


def read_clip(content: Content) -> NamedClip:
    """Keypoint ``(M, T, V, 3)`` in 2-D or ``(M, T, V, 4)`` in 3-D, the last value the score.

    Raises:
        DataError: a file is not of this form, or no person is in any.
    """
    frames: list[tuple[int, Frame]] = []
    names: dict[Any, Any] = {}
    for path, text in content:
        value = parse_json(path, text)
        try:
            meta, items = _parts(value)
            names = names or dict(meta.get('keypoint_id2name') or {})
            if items and 'instances' not in items[0]:
                items = [{'frame_id': openpose.frame_number(path), 'instances': items}]
            for place, item in enumerate(items):
                poses = [(_pose(person), number_of(person.get('track_id'))) for person in item['instances']]
                frames.append((int(item.get('frame_id', place)), poses))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            what = f'file of MMPose, "instance_info" with "keypoints" and "keypoint_scores" ({error!r:.100})'
            raise misread(path, what, value, 'mmpose') from error
    keypoint, ids = assemble(content[0][0], at_their_numbers(frames))
    V, C = keypoint.shape[2:]
    joints = _joints(names, V)
    return NamedClip(keypoint, (*AXES[: C - 1], 'score'), joints, ids=ids, usual=_USUAL.get((V, C - 1)))


def _parts(value: Any) -> tuple[dict[str, Any], list[Any]]:
    """The facts and the list of a file."""
    meta, items = (value.get('meta_info') or {}, value['instance_info']) if isinstance(value, dict) else ({}, value)
    if not isinstance(items, list):
        raise TypeError('instance_info is no list')
    return meta, items


def _pose(person: Any) -> np.ndarray:
    """``(V, D + 1)`` coordinates and score; without scores, a third coordinate is the score."""
    places = np.array(person['keypoints'], dtype=float)
    places = places.reshape(-1, places.shape[-1])
    scores = person.get('keypoint_scores')
    if scores is None and places.shape[1] == 3:
        pose = places
    else:
        ones = np.ones(len(places))
        pose = np.column_stack([places, ones if scores is None else np.array(scores, dtype=float).ravel()])
    if pose.shape[1] not in (3, 4):
        raise ValueError(f'{places.shape[1]} values a joint')
    return pose


def _joints(names: dict[Any, Any], V: int) -> tuple[str, ...]:
    """The names of the joints in their order; none where they are not V names."""
    by_number = {number_of(number): str(name) for number, name in names.items()}
    if sorted(by_number) != list(range(V)):
        return ()
    joints = [by_number[number] for number in range(V)]
    return tuple(_H36M.get(joint, joint) if 'neck_base' in joints else joint for joint in joints)


def is_frame(content: bytes) -> bool:
    """Whether a file holds the persons of an image; False for what is no file of MMPose."""
    try:
        _, items = _parts(parse_json('', content))
        return bool(items) and 'keypoints' in items[0] and 'image_id' not in items[0]
    except (DataError, KeyError, TypeError):
        return False


convert = ClipFolder(('.json',), named=read_clip, is_frame=is_frame, frame_of=openpose.file_of).convert
