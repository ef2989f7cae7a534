"""UTKinect-Action3D (Xia et al., CVPR Workshops 2012): ten actions in a row in each text file, 20 joints.

The files are named ``joints_sSS_eEE.txt`` (subject, take). A row is a frame: its number and 20 x 3 coordinates.
``actionLabel.txt`` lists first and last frame of each action, ``NaN`` for one that was not recorded.
"""

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from skeattn.datasets.converters.clips import Clip, absent
from skeattn.datasets.converters.segments import Listed, SegmentFormat
from skeattn.datasets.converters.sensor_text import in_metres, read_rows
from skeattn.datasets.converters.source import Source
from skeattn.datasets.splits import SPLITS
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import DataError

ACTIONS = {
    'walk': 'walk',
    'sitDown': 'sit down',
    'standUp': 'stand up',
    'pickUp': 'pick up',
    'carry': 'carry',
    'throw': 'throw',
    'push': 'push',
    'pull': 'pull',
    'waveHands': 'wave hands',
    'clapHands': 'clap hands',
}
_LABELS = 'actionlabel.txt'
_RECORDING = re.compile(r's(\d+)_e(\d+)$')
_SEGMENT = re.compile(r'(\w+)\s*:\s*(\S+)\s+(\S+)$')


def list_clips(source: Source, writer: PackedWriter) -> Listed:
    """The actions of ``actionLabel.txt``; those that were not recorded are noted as left out by the authors.

    Raises:
        DataError: there is no such file, or it is not of this format.
    """
    labels = [member for member in source if Path(member).name.lower() == _LABELS]
    if not labels:
        raise DataError(f'{source} holds no actionLabel.txt, which lists the actions of each file')
    files = {Path(member).stem.lower().removeprefix('joints_'): member for member in source if member not in labels}
    read = cache(partial(_recording, source))
    clips: Listed = []
    for recording, action, first, last in _segments(labels[0], source.read(labels[0])):
        name, where = f'{recording}_{action}', f'{action} of {recording}'
        if 'nan' in (first.lower(), last.lower()):
            writer.skip(name, 'actionLabel.txt lists no frames of it', intended=True)
        elif recording not in files:
            clips.append((name, where, partial(absent, f'there is no file joints_{recording}.txt')))
        else:
            clips.append((name, where, partial(read_clip, read, files[recording], recording, action, first, last)))
    return clips


def _segments(path: str, content: bytes) -> list[tuple[str, str, str, str]]:
    """(recording, action, first frame, last frame) of each line."""
    segments, recording = [], ''
    for number, line in enumerate(content.decode('utf-8-sig', 'replace').splitlines(), 1):
        text = line.strip()
        if _RECORDING.match(text):
            recording = text
        elif match := _SEGMENT.match(text):
            if not recording or match[1] not in ACTIONS:
                raise DataError(f'{path}: line {number} is {text!a:.60}, of no recording or no action of the set')
            segments.append((recording, *match.groups()))
        elif text:
            raise DataError(f'{path}: line {number} is {text!a:.60}, not "sSS_eEE" or "action: first last"')
    return segments  # type: ignore[return-value]


def _recording(source: Source, member: str) -> np.ndarray:
    """The rows of a file in the order of their frame numbers, the first of each number."""
    rows = read_rows(member, source.read(member), 61)
    return rows[np.unique(rows[:, 0], return_index=True)[1]]


def read_clip(
    read: Callable[[str], np.ndarray], member: str, recording: str, action: str, first: str, last: str
) -> Clip:
    """Keypoint ``(1, T, 20, 3)`` and columns of an action.

    Raises:
        DataError: file or frames are not of this format, or the file holds none of the frames.
    """
    if not (first.isdecimal() and last.isdecimal()):
        raise DataError(f'its frames {first!a:.20} and {last!a:.20} are no numbers')
    rows = read(member)
    rows = rows[(rows[:, 0] >= int(first)) & (rows[:, 0] <= int(last))]
    if not len(rows):
        raise DataError(f'{member} holds none of the frames {first} to {last}')
    subject, take = map(int, _RECORDING.match(recording).groups())  # type: ignore[union-attr]
    columns = {'label': list(ACTIONS).index(action), 'subject': subject, 'replication': take}
    return in_metres(member, rows[:, 1:].reshape(1, -1, 20, 3)), columns


convert = SegmentFormat(
    'utkinect', 'kinect20', tuple(ACTIONS.values()), SPLITS['utkinect'], ('.txt',), list_clips
).convert
