"""Arrays of ST-GCN and its followers: {train,val}_data.npy or _position.npy (N, C, T, V, M) and {train,val}_label.pkl

``_data.npy`` is padded with empty frames at the end (to 300 for NTU RGB+D), which are removed; ``_position.npy``
is preprocessed to clips of one length, and kept unchanged. The pickle holds the clips' names and their labels.
"""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from skeattn.datasets.converters.clips import (
    TESTS,
    TRAINS,
    Read,
    Table,
    add_clips,
    parse_channels,
    read_layout,
    without_padding,
)
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.unpickle import load_plain
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import DataError
from skeattn.renaming import renamed_arguments
from skeattn.skeletons import SkeletonLayout

_SIDES = {'train': TRAINS, 'val': TESTS}
_PADDED, _PREPROCESSED = ('data', 'data_joint'), ('position',)


@renamed_arguments(protocol='split')
def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str | SkeletonLayout = 'ntu25',
    labels: str | os.PathLike[str] | None = None,
    split: str = 'split',
    classes: str | os.PathLike[str] | None = None,
    channels: str | Sequence[str] | None = None,
    *,
    persons: str = 'order',
    max_persons: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Pack the pair of arrays of a folder, one clip in memory at a time.

    Columns and splits of NTU RGB+D are added if the clips have its names.

    Args:
        source: folder with the arrays of both sides.
        out: the packed set's folder.
        layout: the skeleton, by name or as a ``.json`` file that defines it.
        labels: folder with the label pickles, if it is a different one.
        split: name of the split into the two arrays.
        classes: text file with one class per line; by default NTU's, or numbers.
        channels: names of a joint's values, as ``'x,y,score'``; by default inferred from their number.
        persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
        strict: stop at the first unusable clip.
        overwrite: replace a set at ``out``.

    Raises:
        DataError: a file is missing, damaged or of a wrong shape, no clip is usable, or with ``strict`` one is not.
        ConfigError: unknown layout or channels.
    """
    source, skeleton, choice = Path(source), read_layout(layout), Choice(persons, max_persons)
    names: list[str] = []
    numbers: list[int] = []
    clips: list[tuple[str, str, Path, np.ndarray, int]] = []
    sides: dict[str, int] = {}
    for side, trains in _SIDES.items():
        path, data = _open(source, side, skeleton.num_joints)
        listed, classes_of_clips = read_labels(Path(labels or source) / f'{side}_label.pkl', len(data))
        clips += [(name, f'{path.name}[{i}]', path, data, i) for i, name in enumerate(listed)]
        sides |= dict.fromkeys(listed, trains)
        names += listed
        numbers += classes_of_clips
    table = Table(names, numbers, {split: sides}, classes)

    def read() -> Iterator[tuple[str, str, Read]]:
        for number, (name, where, path, data, i) in enumerate(clips):
            yield name, where, partial(_clip, data[i], padded=_is_padded(path), columns=table.row(number))

    dataset, named = Path(out).name, parse_channels(channels)
    with PackedWriter(
        out, dataset, skeleton, table.class_names(), table.splits(), overwrite, named, table.columns
    ) as writer:
        writer.notes['made of'] = ', '.join(dict.fromkeys(path.name for _, _, path, _, _ in clips))
        add_clips(writer, str(source), read(), len(clips), choice, strict=strict)


def read_labels(path: Path, clips: int) -> tuple[list[str], list[int]]:
    """Names, without ``.skeleton``, and labels of the clips of an array.

    Raises:
        DataError: the file is missing, damaged, of a different structure, or of a different number of clips.
    """
    content = load_plain(path)
    if not isinstance(content, (list, tuple)) or len(content) != 2:
        raise DataError(f'{path} is not a pair of names and labels')
    names, labels = (list(part) if isinstance(part, (list, tuple, np.ndarray)) else None for part in content)
    if names is None or labels is None or not len(names) == len(labels) == clips:
        raise DataError(f'{path} does not hold the names and labels of {clips} clips, as many as its array has')
    for i, (name, label) in enumerate(zip(names, labels, strict=True)):
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise DataError(f'{path}, clip {i}: {ascii(name)[:60]} is not a name')
        if not isinstance(label, (int, np.integer)) or isinstance(label, bool):
            raise DataError(f'{path}, clip {i} ({name}): label {ascii(label)[:60]} is not a class number')
    return [str(name).removesuffix('.skeleton') for name in names], [int(label) for label in labels]


def _open(folder: Path, side: str, V: int) -> tuple[Path, np.ndarray]:
    paths = [folder / f'{side}_{kind}.npy' for kind in (*_PADDED, *_PREPROCESSED)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise DataError(f'{folder} has none of {", ".join(path.name for path in paths)}')
    try:
        data = np.lib.format.open_memmap(path, mode='r')
    except Exception as error:  # a damaged header fails in many ways
        raise DataError(f'{path} is not an array, or a damaged or truncated one ({error})') from error
    if data.ndim != 5 or data.shape[3] != V or data.dtype.kind != 'f':
        raise DataError(f'{path} holds {data.dtype} {data.shape}, not floats (clips, channels, frames, {V}, persons)')
    return path, data


def _is_padded(path: Path) -> bool:
    return path.stem.split('_', 1)[1] in _PADDED


def _clip(stored: np.ndarray, padded: bool, columns: dict[str, int]) -> tuple[np.ndarray, dict[str, int]]:
    keypoint = np.asarray(stored).transpose(3, 1, 2, 0)
    persons = max(len(without_padding(keypoint)), 1)
    return without_padding(keypoint) if padded else keypoint[:persons], columns
