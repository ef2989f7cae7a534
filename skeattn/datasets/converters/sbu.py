"""SBU Kinect Interaction (Yun et al., CVPR Workshops 2012): one skeleton_pos.txt per clip, two persons of 15 joints.

The files lie in ``sAAsBB/CC/NNN/`` (the pair of actors, the interaction, the take). A row is a frame: its number and
2 x 15 x 3 normalised coordinates, of which the README gives the originals.
"""

import re
from pathlib import Path

import numpy as np

from skeattn.datasets.converters.chunks import Parsed
from skeattn.datasets.converters.loop import FileFormat
from skeattn.datasets.converters.sensor_text import in_metres, read_rows
from skeattn.datasets.splits import SBU_SETS, SPLITS
from skeattn.errors import DataError

# Public readers do not agree on which folder holds which of kicking, pushing, punching, hugging, shaking hands and
# exchanging, so that the classes are called by their folders.
ACTIONS = tuple(f'interaction {number:02d}' for number in range(1, 9))
_PLACE = re.compile(r'(s\d\ds\d\d)[^/]*/(?:.*/)?(\d\d)/(\d+)/skeleton_pos\.txt$', re.IGNORECASE)
_SCALE, _OFFSET = np.array([-2560, -1920, 10000 / 7.8125]), np.array([1280, 960, 0])  # to millimetres


def parse(path: str, content: bytes) -> Parsed:
    """Name, keypoint ``(2, T, 15, 3)`` and columns of one file.

    Raises:
        DataError: place or content is not of this format.
    """
    match = _PLACE.search(Path(path).as_posix())
    if match is None:
        raise DataError(f'{path}: it does not lie in a folder sAAsBB/CC/NNN')
    pair, action, take = match[1].lower(), int(match[2]), int(match[3])
    if pair not in SBU_SETS or not 1 <= action <= len(ACTIONS):
        raise DataError(f'{path}: {pair}/{match[2]} is none of the 21 pairs and {len(ACTIONS)} interactions of the set')
    stored = read_rows(path, content, 91)[:, 1:].reshape(-1, 2, 15, 3).swapaxes(0, 1)
    with np.errstate(over='ignore', invalid='ignore'):
        keypoint = np.where(stored.any(axis=-1, keepdims=True), stored * _SCALE + _OFFSET, np.nan)
    keypoint[~stored.any(axis=(2, 3))] = 0
    columns = {'label': action - 1, 'subject': int(pair[1:3]), 'setup': SBU_SETS.index(pair) + 1, 'replication': take}
    return f'{pair}_{action:02d}_{take:03d}', in_metres(path, keypoint), columns


convert = FileFormat('sbu', 'sbu15', ACTIONS, SPLITS['sbu'], 'skeleton_pos.txt', parse).convert
