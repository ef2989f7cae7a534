"""MSR Action3D (Li et al., CVPR Workshops 2010): one text file per clip, 20 joints in world coordinates.

The files of the archive MSRAction3DSkeletonReal3D are named ``aAA_sSS_eEE_skeleton3D.txt`` (action, subject, episode)
and hold a joint a row: x, y, z and a confidence.
"""

import re
from pathlib import Path

from skeattn.datasets.converters.chunks import Parsed
from skeattn.datasets.converters.clips import NEITHER, TESTS, TRAINS
from skeattn.datasets.converters.loop import FileFormat
from skeattn.datasets.converters.sensor_text import in_metres, joint_rows
from skeattn.datasets.splits import MSRACTION3D_SUBSETS, ODD_SUBJECTS, SPLITS
from skeattn.errors import DataError
from skeattn.skeletons import get_layout

ACTIONS = (
    'high arm wave', 'horizontal arm wave', 'hammer', 'hand catch', 'forward punch', 'high throw', 'draw x',
    'draw tick', 'draw circle', 'hand clap', 'two hand wave', 'side boxing', 'bend', 'forward kick', 'side kick',
    'jogging', 'tennis swing', 'tennis serve', 'golf swing', 'pick up and throw',
)  # fmt: skip
_LAYOUT = get_layout('kinect20')
# The README names no joints. The bones are those that the authors draw, the sides those of public readers.
_STORED = (
    'right_shoulder', 'left_shoulder', 'shoulder_centre', 'spine', 'right_hip', 'left_hip', 'hip_centre',
    'right_elbow', 'left_elbow', 'right_wrist', 'left_wrist', 'right_hand', 'left_hand',
    'right_knee', 'left_knee', 'right_ankle', 'left_ankle', 'right_foot', 'left_foot', 'head',
)  # fmt: skip
_ORDER = [_STORED.index(joint) for joint in _LAYOUT.joints]
_NAME = re.compile(r'(a(\d+)_s(\d+)_e(\d+))_skeleton3D$', re.IGNORECASE)


def parse(path: str, content: bytes) -> Parsed:
    """Name, keypoint ``(1, T, 20, 3)`` and columns of one file.

    Raises:
        DataError: name or content is not of this format.
    """
    match = _NAME.match(Path(path).stem)
    if match is None:
        raise DataError(f'{path}: the name is not of the form aAA_sSS_eEE_skeleton3D.txt')
    action, subject, episode = (int(match[group]) for group in (2, 3, 4))
    if not 1 <= action <= len(ACTIONS):
        raise DataError(f'{path}: action {action} is outside 1..{len(ACTIONS)}')
    keypoint = joint_rows(path, content, len(_ORDER), 4, 3)[None, :, _ORDER]
    side = TRAINS if subject in ODD_SUBJECTS else TESTS
    subsets = {name: side if action in actions else NEITHER for name, actions in MSRACTION3D_SUBSETS.items()}
    columns = {'label': action - 1, 'subject': subject, 'replication': episode, **subsets}
    return match[1].lower(), in_metres(path, keypoint), columns


convert = FileFormat(
    'msraction3d', _LAYOUT, ACTIONS, SPLITS['msraction3d'], '_skeleton3d.txt', parse, tuple(MSRACTION3D_SUBSETS)
).convert
