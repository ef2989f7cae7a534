"""UTD-MHAD (Chen et al., ICIP 2015): one MATLAB file per clip, Kinect v1.

The files are named ``aA_sS_tT_skeleton.mat`` (action, subject, trial) and hold ``d_skel`` ``(20, 3, T)``.
"""

import re
from pathlib import Path

import numpy as np

from skeattn.datasets.converters.chunks import Parsed
from skeattn.datasets.converters.loop import FileFormat
from skeattn.datasets.converters.mat5 import read_array
from skeattn.datasets.splits import SPLITS
from skeattn.errors import DataError
from skeattn.skeletons import get_layout

ACTIONS = (
    'swipe left', 'swipe right', 'wave', 'clap', 'throw', 'arm cross', 'basketball shoot', 'draw x',
    'draw circle clockwise', 'draw circle counter clockwise', 'draw triangle', 'bowling', 'boxing', 'baseball swing',
    'tennis swing', 'arm curl', 'tennis serve', 'push', 'knock on door', 'catch', 'pick up and throw', 'jog', 'walk',
    'sit to stand', 'stand to sit', 'lunge', 'squat',
)  # fmt: skip
_LAYOUT = get_layout('kinect20')
# The files list the trunk from the head down, the layout from the hip up.
_FIRST = ('head', 'shoulder_centre', 'spine', 'hip_centre')
_STORED = (*_FIRST, *(joint for joint in _LAYOUT.joints if joint not in _FIRST))
_ORDER = [_STORED.index(joint) for joint in _LAYOUT.joints]
_NAME = re.compile(r'a(\d+)_s(\d+)_t(\d+)_skeleton$')


def parse(path: str, content: bytes) -> Parsed:
    """Name, keypoint ``(1, T, 20, 3)`` and columns of one file.

    Raises:
        DataError: name or content is not of this format.
    """
    match = _NAME.match(Path(path).stem)
    if match is None:
        raise DataError(f'{path}: the name is not of the form aA_sS_tT_skeleton.mat')
    action, subject, trial = map(int, match.groups())
    if not 1 <= action <= len(ACTIONS):
        raise DataError(f'{path}: action {action} is outside 1..{len(ACTIONS)}')
    name = f'a{action:02d}_s{subject:02d}_t{trial:02d}'
    return name, read_keypoint(path, content), {'label': action - 1, 'subject': subject, 'replication': trial}


def read_keypoint(path: str, content: bytes) -> np.ndarray:
    """Keypoint ``(1, T, 20, 3)`` of a file, whatever its name.

    Raises:
        DataError: the content is not of this format.
    """
    try:
        with np.errstate(over='ignore'):  # becomes infinite, which the writer reports
            stored = read_array(content, 'd_skel').astype(np.float32)
    except ValueError as error:
        raise DataError(f'{path}: not a MATLAB file with the variable d_skel ({error})') from error
    if stored.ndim == 2:  # MATLAB drops a last axis of size 1
        stored = stored[..., None]
    if stored.ndim != 3 or len(stored) != len(_ORDER):
        raise DataError(f'{path}: d_skel has the shape {stored.shape}, not ({len(_ORDER)}, 3, frames)')
    return np.asarray(stored[_ORDER].transpose(2, 0, 1)[None])


convert = FileFormat('utdmhad', _LAYOUT, ACTIONS, SPLITS['utdmhad'], '.mat', parse).convert
