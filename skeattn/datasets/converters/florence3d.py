"""Florence 3D Actions (Seidenari et al., CVPR Workshops 2013): one text file with all clips, 15 joints.

A row of ``Florence_dataset_WorldCoordinates.txt`` is a frame: numbers of the video, the actor and the action, and 45
coordinates.
"""

from functools import partial

import numpy as np

from skeattn.datasets.converters.clips import Clip
from skeattn.datasets.converters.segments import Listed, SegmentFormat
from skeattn.datasets.converters.sensor_text import in_metres, read_rows
from skeattn.datasets.converters.source import Source
from skeattn.datasets.splits import SPLITS
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import DataError

ACTIONS = (
    'wave', 'drink from a bottle', 'answer phone', 'clap', 'tie lace', 'sit down', 'stand up', 'read watch', 'bow',
)  # fmt: skip


def list_clips(source: Source, writer: PackedWriter) -> Listed:
    """The videos of the file.

    Raises:
        DataError: there are several such files, or it is not of this format.
    """
    if len(source) > 1:
        raise DataError(f'{source} holds several files of world coordinates: {", ".join(source)}; give one of them')
    (path,) = source
    rows = read_rows(path, source.read(path), 48)
    if (rows[:, :3] != np.clip(np.round(rows[:, :3]), 0, 1e6)).any():  # also NaN
        raise DataError(f'{path}: the first three values of a row are no numbers of video, actor and action')
    clips: Listed = []
    for video in np.unique(rows[:, 0]).astype(int).tolist():
        frames = rows[rows[:, 0] == video]
        clips.append((f'v{video:03d}', f'video {video}', partial(read_clip, path, frames)))
    return clips


def read_clip(path: str, frames: np.ndarray) -> Clip:
    """Keypoint ``(1, T, 15, 3)`` and columns of the rows of a video.

    Raises:
        DataError: they are of several actors or actions, or of an unknown action.
    """
    actors, actions = (np.unique(frames[:, column]).astype(int).tolist() for column in (1, 2))
    if len(actors) > 1 or len(actions) > 1:
        raise DataError(f'its rows are of the actors {actors} and the actions {actions}, not of one each')
    if not 1 <= actions[0] <= len(ACTIONS):
        raise DataError(f'action {actions[0]} is outside 1..{len(ACTIONS)}')
    keypoint = in_metres(path, frames[:, 3:].reshape(1, -1, 15, 3))
    return keypoint, {'label': actions[0] - 1, 'subject': actors[0]}


convert = SegmentFormat(
    'florence3d', 'florence15', ACTIONS, SPLITS['florence3d'], ('_worldcoordinates.txt',), list_clips
).convert
