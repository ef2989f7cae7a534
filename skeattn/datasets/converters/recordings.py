"""Clips of raw files, read without a conversion: for a trained encoder, which needs no splits and no packed set."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters import alphapose, ctrgcn, kinetics, mediapipe, nwucla, openpose, plain, pyskl, utdmhad
from skeattn.datasets.converters.bodies import BODIES, MAX_PERSONS
from skeattn.datasets.converters.clips import Read
from skeattn.datasets.converters.estimators import parse_json, recognise
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.intake import EVERYBODY
from skeattn.datasets.converters.members import Content, ReadClip, labels_beside
from skeattn.datasets.converters.ntu_text import read_bodies
from skeattn.datasets.converters.source import Source
from skeattn.datasets.missing import mark_missing
from skeattn.errors import DataError
from skeattn.skeletons import SkeletonLayout, get_layout

ANNOTATIONS, ARRAYS = ('.pkl', '.pickle'), ('.npz',)
"""Suffixes of files that hold many clips."""


@dataclass(frozen=True)
class Recording:
    """A clip as a file or a user gives it.

    Args:
        name: of the clip.
        keypoint: ``(M, T, V, C)``, missing joints marked as in :mod:`skeattn.datasets.missing`.
        layout: of the joints.
        channels: names of the C values.
        label: name of the class, empty without one.
        subject: number, -1 where unknown.
    """

    name: str
    keypoint: np.ndarray
    layout: SkeletonLayout
    channels: tuple[str, ...]
    label: str = ''
    subject: int = -1


@dataclass(frozen=True)
class Described:
    """The joints of clips.

    Args:
        layout: of clips whose format does not determine it.
        channels: of clips whose format does not determine them.
        stated: the layout also precedes that which a format derives from the number of joints.
    """

    layout: SkeletonLayout
    channels: tuple[str, ...]
    stated: bool = False


def _read_with(read: Callable[[str, bytes], np.ndarray], content: Content) -> tuple[np.ndarray, None]:
    ((path, text),) = content
    return read(path, text), None


def _read_ntu(path: str, content: bytes) -> np.ndarray:
    return BODIES['file_order'](read_bodies(path, content), MAX_PERSONS)


_KINECT_V1 = {20: 'kinect20'}
_XYZ: dict[int, tuple[str, ...]] = {3: AXES}
_NTU = ClipFolder(('.skeleton',), partial(_read_with, _read_ntu), channels=_XYZ, layouts={25: 'ntu25'})
_NWUCLA = ClipFolder(('.json',), partial(_read_with, nwucla.read_keypoint), channels=_XYZ, layouts=_KINECT_V1)
_UTDMHAD = ClipFolder(('.mat',), partial(_read_with, utdmhad.read_keypoint), channels=_XYZ, layouts=_KINECT_V1)
_ESTIMATORS = {
    'openpose': openpose.FORMAT,
    'alphapose': alphapose.FORMAT,
    'mediapipe': mediapipe.FORMAT,
    'kinetics': kinetics.FORMAT,
}
_BY_SUFFIX = {'.skeleton': _NTU, '.mat': _UTDMHAD}
SUFFIXES = (*_BY_SUFFIX, *plain.SUFFIXES)
"""Suffixes of files that hold one clip, or one frame of a clip."""


def read_recordings(path: str | os.PathLike[str], described: Described) -> Iterator[Recording]:
    """The clips of a file, of a folder or of a zip archive, in the order of their names.

    The format is that of the suffix; of JSON, that of its content. A folder is read by the most frequent suffix in it.
    The first two bodies of a frame of NTU RGB+D are its persons; otherwise all persons are kept, in the order of the
    source. Tables of labels are not read.

    Args:
        path: a ``.skeleton`` file of NTU RGB+D; JSON of OpenPose, AlphaPose, MediaPipe, Kinetics-skeleton or
            NW-UCLA; ``.mat`` of UTD-MHAD; an array or a table as in :mod:`skeattn.datasets.converters.plain`; a folder
            or a zip archive of these; a ``.pkl`` of pyskl; or an ``.npz`` of CTR-GCN.
        described: the joints of clips whose format does not determine them.

    Raises:
        DataError: the path does not exist or holds no clip of a known format, or a clip is unusable; names it.
    """
    path, suffix = Path(path), Path(path).suffix.lower()
    if not path.exists():
        raise DataError(f'{path} does not exist; give a packed set, a file with a clip, or a folder of such files')
    if path.is_file() and suffix in (*ANNOTATIONS, *ARRAYS):
        yield from _of_one_file(path, described)
        return
    if path.is_file() and suffix not in (*SUFFIXES, '.zip'):
        known = ', '.join((*SUFFIXES, *ANNOTATIONS, *ARRAYS))
        raise DataError(f'{path}: no format has the suffix {suffix!r}; known: {known}, and .zip of such files')
    files = Source(path, SUFFIXES)
    kind = _kind_of(files, described)
    clips = kind.clips(files, set(labels_beside(files)))
    for clip in clips.members:
        assert kind.read is not None
        keypoint, ids = kind.read(clips.content(clip))
        where = clips.members[clip][0]
        yield _recording(where, clips.names[clip], keypoint, ids, _described_by(kind, where, keypoint, described))


def _kind_of(files: Source, described: Described) -> ClipFolder:
    """The format of the most frequent suffix, in an order that does not depend on that of the files."""
    counts = Counter(Path(member).suffix.lower() for member in files if Path(member).stem.lower() != 'labels')
    suffix = max(SUFFIXES, key=lambda suffix: counts[suffix])
    first = next((member for member in files if member.lower().endswith(suffix)), '')
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix == '.json':
        value = parse_json(first, files.read(first))
        if isinstance(value, dict) and 'skeletons' in value:
            return _NWUCLA
        name = recognise(value)
        if name in _ESTIMATORS:
            return _ESTIMATORS[name]
        if name:
            raise DataError(f'{first} is a file of the format {name}, which needs a conversion: skeattn convert {name}')
    read: ReadClip = partial(plain.read_clip, V=described.layout.num_joints, channels=described.channels)
    return ClipFolder((suffix,), read)


def _of_one_file(path: Path, described: Described) -> Iterator[Recording]:
    """The clips of a file that holds many."""
    clips: Iterator[tuple[str, Read]]
    if path.suffix.lower() in ARRAYS:
        clips = ctrgcn.clips_of(path, described.layout.num_joints, len(described.channels))
    else:
        channels, clips = pyskl.clips_of(path)
        described = replace(described, channels=channels)
    for name, read in clips:
        try:
            keypoint, columns, *_ = read()
        except DataError as error:
            raise DataError(f'{path}, {name}: {error}') from error
        recording = _recording(f'{path}, {name}', name, keypoint, None, described)
        yield recording if columns['label'] < 0 else replace(recording, label=f'class {columns["label"]}')


def _described_by(kind: ClipFolder, where: str, keypoint: np.ndarray, described: Described) -> Described:
    """Layout and channels of a clip, from its shape where that is enough for the format."""
    V, C = keypoint.shape[2:]
    channels = (kind.channels or {}).get(C, described.channels)
    if not kind.layouts or (described.stated and described.layout.num_joints == V):
        return replace(described, channels=channels)
    if V not in kind.layouts:
        usual = ', '.join(f'{known} ({count})' for count, known in kind.layouts.items())
        raise DataError(f'{where}: the clip has {V} joints; state its layout, layout=...; usual here: {usual}')
    return Described(get_layout(kind.layouts[V]), channels)


def _recording(where: str, name: str, keypoint: np.ndarray, ids: np.ndarray | None, described: Described) -> Recording:
    layout, channels = described.layout, described.channels
    if keypoint.shape[2:] != (layout.num_joints, len(channels)) or not keypoint.size:
        raise DataError(
            f'{where}: the clip has the shape {keypoint.shape}, but layout {layout.name!r} has {layout.num_joints} '
            f'joints, and their values are {", ".join(channels)}; state layout=... and channels=...'
        )
    marked = mark_missing(keypoint, channels, layout)
    return Recording(name, EVERYBODY.apply(marked, channels, ids)[0], layout, channels)
