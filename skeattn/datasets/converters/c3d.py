"""C3D motion capture: one .c3d file of marker positions a clip, and a table labels.csv with a row for each

Needs the extra c3d. Markers have names and no bones: ``--layout FILE.json`` defines the skeleton over those to keep.
Positions are in metres where the file names its unit. A marker that was not seen is a missing joint.
"""

import io
import warnings

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters.extras import extra
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import Content
from skeattn.datasets.converters.named import NamedClip
from skeattn.errors import DataError

_METRES = {'mm': 0.001, 'cm': 0.01, 'dm': 0.1, 'm': 1.0, 'in': 0.0254}


def read_clip(content: Content) -> NamedClip:
    """Keypoint ``(1, T, markers, 3)`` with the file's markers.

    Raises:
        DataError: the file is not of this format, or damaged.
        ConfigError: the package c3d is missing.
    """
    package = extra('c3d', 'c3d', 'C3D files')
    ((path, text),) = content
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            reader = package.Reader(io.BytesIO(text))
            names = [str(label).strip() for label in reader.point_labels][: reader.point_used]
            frames = np.array([points[:, :4] for _, points, _ in reader.read_frames(copy=True)], dtype=float)
            units = reader.get('POINT:UNITS')
            unit = units.string_value.strip().lower() if units is not None else ''
    except Exception as error:  # damaged bytes fail in many ways
        raise DataError(f'{path}: it is no C3D file, or a damaged one ({error!r:.100})') from error
    if frames.ndim != 3 or not frames.size or frames.shape[1] != len(names):
        raise DataError(f'{path}: it holds {frames.shape} marker positions for {len(names)} names')
    joints = _without_subject(names)
    if len(set(joints)) < len(joints):
        raise DataError(f'{path}: two of its markers have the same name')
    with np.errstate(all='ignore'):
        places = frames[..., :3] * _METRES.get(unit, 1.0)
    unseen = (frames[..., 3] < 0) | ~np.isfinite(places).all(axis=-1)
    places[unseen] = np.nan
    places[unseen.all(axis=1)] = 0
    return NamedClip(places[None], AXES, tuple(joints))


def _without_subject(names: list[str]) -> list[str]:
    """Marker names without the subject before them (``Anna:LASI``), where they stay different from each other."""
    short = [name.rsplit(':', 1)[-1] for name in names]
    return short if len(set(short)) == len(short) else names


convert = ClipFolder(('.c3d',), named=read_clip).convert
