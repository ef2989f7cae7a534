"""Northwestern-UCLA Multiview Action 3D (Wang et al., CVPR 2014): one JSON file per clip, Kinect v1.

The files are named ``aAA_sSS_eEE_vVV.json`` (action, subject, episode, view) and hold ``skeletons`` ``[T][20][3]``.
"""

import re
from pathlib import Path

import numpy as np

from skeattn.datasets.converters.chunks import Parsed
from skeattn.datasets.converters.loop import FileFormat
from skeattn.datasets.splits import SPLITS
from skeattn.errors import DataError
from skeattn.reading import parse_json

# Action code in the file name -> class; codes 7 and 10 do not exist. The labels are their ranks.
ACTIONS = {
    1: 'pick up with one hand',
    2: 'pick up with two hands',
    3: 'drop trash',
    4: 'walk around',
    5: 'sit down',
    6: 'stand up',
    8: 'donning',
    9: 'doffing',
    11: 'throw',
    12: 'carry',
}
_NAME = re.compile(r'a(\d+)_s(\d+)_e(\d+)_v(\d+)$')


def parse(path: str, content: bytes) -> Parsed:
    """Name, keypoint ``(1, T, 20, 3)`` and columns of one file.

    Raises:
        DataError: name or content is not of this format.
    """
    name = Path(path).stem
    match = _NAME.match(name)
    if match is None:
        raise DataError(f'{path}: the name is not of the form aAA_sSS_eEE_vVV.json')
    action, subject, episode, view = map(int, match.groups())
    if action not in ACTIONS:
        raise DataError(f'{path}: unknown action code {action}; the codes are {", ".join(map(str, ACTIONS))}')
    columns = {'label': list(ACTIONS).index(action), 'subject': subject, 'camera': view, 'replication': episode}
    return name, read_keypoint(path, content), columns


def read_keypoint(path: str, content: bytes) -> np.ndarray:
    """Keypoint ``(1, T, 20, 3)`` of a file, whatever its name.

    Raises:
        DataError: the content is not of this format.
    """
    try:
        keypoint = np.array(parse_json(content)['skeletons'], dtype=np.float32)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(f'{path}: not JSON with "skeletons" as frames x joints x 3 numbers ({error})') from error
    if keypoint.ndim != 3:
        raise DataError(f'{path}: "skeletons" has the shape {keypoint.shape}, not (frames, 20, 3)')
    return keypoint[None]


convert = FileFormat('nwucla', 'kinect20', tuple(ACTIONS.values()), SPLITS['nwucla'], '.json', parse).convert
