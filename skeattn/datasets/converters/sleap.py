"""SLEAP: one analysis file (.h5) a clip, and a table labels.csv with a row for each

Needs the extra sleap. Tracks are the persons, nodes the joints, edges the bones, from which the layout is made.
"""

import io
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters.apart import Apart
from skeattn.datasets.converters.extras import extra
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import Content, FileOf
from skeattn.datasets.converters.named import NamedClip, tree_of
from skeattn.errors import DataError
from skeattn.reading import check_size

_APART = Apart()


def file_of(inner: str) -> FileOf:
    """A clip a file; ``video.analysis.h5`` is the clip ``video``."""
    return FileOf(inner, PurePosixPath(inner).with_suffix('').as_posix().removesuffix('.analysis'))


def read_clip(content: Content) -> NamedClip:
    """Keypoint ``(tracks, T, nodes, 3)``: x, y, score; or x, y, z, score in 3-D.

    Raises:
        DataError: the file is not of this form, or damaged.
        ConfigError: the package h5py is missing.
    """
    extra('h5py', 'sleap', 'analysis files of SLEAP')
    ((path, text),) = content
    try:
        nodes, tracks, scores, edges = _APART(_arrays, text)
        keypoint = _keypoint(tracks, scores, len(nodes))
        parents = tree_of(len(nodes), [(int(a), int(b)) for a, b in edges])
    except (ValueError, TypeError, IndexError) as error:
        what = 'it is no analysis file of SLEAP, with tracks and node_names, or a damaged one'
        raise DataError(f'{path}: {what} ({error!s:.100})') from error
    channels = (*AXES[: keypoint.shape[-1] - 1], 'score')
    return NamedClip(keypoint, channels, tuple(nodes), parents, prefix='sleap')


def _arrays(content: bytes) -> tuple[list[str], np.ndarray, np.ndarray | None, np.ndarray]:
    """Nodes, tracks, scores and edges of a file; whatever error, if it is damaged."""
    import h5py

    with h5py.File(io.BytesIO(content), 'r') as file:

        def read(name: str) -> Any:
            check_size(file[name].nbytes)
            return file[name][()]

        nodes = [_text(name) for name in read('node_names')]
        tracks = np.asarray(read('tracks'), dtype=float)
        scores = np.asarray(read('point_scores'), dtype=float) if 'point_scores' in file else None
        edges = np.asarray(read('edge_inds')).reshape(-1, 2) if 'edge_inds' in file else np.zeros((0, 2), int)
    return nodes, tracks, scores, edges


def _keypoint(tracks: np.ndarray, scores: np.ndarray | None, V: int) -> np.ndarray:
    """Tracks ``(M, D, V, T)`` and scores ``(M, V, T)`` as ``(M, T, V, D + 1)``, zero where a track is absent."""
    if tracks.ndim != 4 or tracks.shape[1] not in (2, 3) or tracks.shape[2] != V or not tracks.size:
        raise ValueError(f'tracks have the shape {tracks.shape}, not (tracks, 2 or 3, {V} nodes, frames)')
    places = tracks.transpose(0, 3, 2, 1)
    seen = np.isfinite(places).all(axis=-1)
    score = np.ones(seen.shape) if scores is None else np.nan_to_num(scores.transpose(0, 2, 1))
    keypoint = np.concatenate([places, np.where(seen, score, 0)[..., None]], axis=-1)
    keypoint[~seen.any(axis=2)] = 0
    return keypoint


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


convert = ClipFolder(('.h5', '.hdf5'), file_of=file_of, named=read_clip).convert
