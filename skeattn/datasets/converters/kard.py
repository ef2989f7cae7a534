"""KARD, Kinect Activity Recognition Dataset (Gaglio et al., IEEE THMS 2015): one text file per clip, 15 joints.

The files are named ``aAA_sSS_eEE_realworld.txt`` (activity, subject, repetition) and hold a joint a row: x, y, z.
"""

import re
from pathlib import Path

from skeattn.datasets.converters.chunks import Parsed
from skeattn.datasets.converters.loop import FileFormat
from skeattn.datasets.converters.sensor_text import in_metres, joint_rows
from skeattn.datasets.splits import SPLITS
from skeattn.errors import DataError

ACTIONS = (
    'horizontal arm wave', 'high arm wave', 'two hand wave', 'catch cap', 'high throw', 'draw x', 'draw tick',
    'toss paper', 'forward kick', 'side kick', 'take umbrella', 'bend', 'hand clap', 'walk', 'phone call', 'drink',
    'sit down', 'stand up',
)  # fmt: skip
_NAME = re.compile(r'(a(\d+)_s(\d+)_e(\d+))_realworld$', re.IGNORECASE)


def parse(path: str, content: bytes) -> Parsed:
    """Name, keypoint ``(1, T, 15, 3)`` and columns of one file.

    Raises:
        DataError: name or content is not of this format.
    """
    match = _NAME.match(Path(path).stem)
    if match is None:
        raise DataError(f'{path}: the name is not of the form aAA_sSS_eEE_realworld.txt')
    action, subject, repetition = (int(match[group]) for group in (2, 3, 4))
    if not 1 <= action <= len(ACTIONS):
        raise DataError(f'{path}: activity {action} is outside 1..{len(ACTIONS)}')
    keypoint = in_metres(path, joint_rows(path, content, 15, 3)[None])
    return match[1].lower(), keypoint, {'label': action - 1, 'subject': subject, 'replication': repetition}


convert = FileFormat('kard', 'kard15', ACTIONS, SPLITS['kard'], '_realworld.txt', parse).convert
