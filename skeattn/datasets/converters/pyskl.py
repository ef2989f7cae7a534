"""Annotation pickles of pyskl and mmaction2: one .pkl file with all clips, 2-D with scores or 3-D

``dict(split={name: [frame_dir, ...]}, annotations=[...])``, or the list of annotations alone. An annotation is a dict:
``frame_dir`` (the clip's name), ``label``, ``total_frames``, ``keypoint`` (M, T, V, C), and where there are any
``keypoint_score`` (M, T, V), ``img_shape`` and ``original_shape`` (height, width).
"""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.channels import BY_COUNT, num_coordinates
from skeattn.datasets.converters.clips import Read, Table, absent, add_clips, pair, parse_channels, read_layout
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.missing import mark_missing, present
from skeattn.datasets.packed import UNLABELLED, PackedSet
from skeattn.datasets.splits import split as split_by
from skeattn.datasets.unpickle import load_plain
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import ConfigError, DataError
from skeattn.files import write_atomic
from skeattn.progress import progress
from skeattn.skeletons import SkeletonLayout

# The sizes of images, kept for export: key of the annotation -> columns of the set.
SHAPES: dict[str, tuple[str, str]] = {
    'img_shape': ('img_height', 'img_width'),
    'original_shape': ('original_height', 'original_width'),
}
_KEPT = ('frame_dir', 'label', 'total_frames', 'keypoint', 'keypoint_score', *SHAPES)
Mark = Callable[[np.ndarray], np.ndarray]
# What the manifest notes of the file, to give it back.
_PRECISION, _SPLIT = 'coordinates given in', 'lists of'


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str | SkeletonLayout,
    classes: str | os.PathLike[str] | None = None,
    channels: str | Sequence[str] | None = None,
    test: str | os.PathLike[str] | None = None,
    normalise: bool = False,
    *,
    persons: str = 'order',
    max_persons: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Pack the annotations of a file; its lists of clips become splits.

    Lists pair by name: ``xsub_train`` and ``xsub_val`` are the split ``xsub``, ``train`` and ``test`` are ``split``.
    Columns and splits of NTU RGB+D are added where the clips have its names. The file is read whole; it can hold
    arrays and plain containers, and nothing in it is run.

    Args:
        source: the ``.pkl`` file.
        out: the packed set's folder.
        layout: the skeleton, by name or as a ``.json`` file that defines it.
        classes: text file with one class a line; by default the classes are numbered.
        channels: what the values of a joint are, with the score where there is one, as ``'x,y,score'``; by default
            derived from the shapes.
        test: a second file of the same kind, for a list of annotations without splits: its clips test, those of
            ``source`` train, in the split ``split``.
        normalise: pixels to the image's centre as origin and half its longer side as unit, by ``img_shape``; what is
            not detected is missing. By default coordinates stay as they are.
        persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
        strict: stop at the first unusable clip.
        overwrite: replace a set at ``out``.

    Raises:
        DataError: the file is damaged, holds anything else than described, or no usable clip, or with ``strict`` an
            unusable one.
        ConfigError: unknown layout or channels, or ``normalise`` for 3-D.
    """
    choice = Choice(persons, max_persons)
    annotations, lists = _read(Path(source))
    if test is not None:
        if lists:
            raise ConfigError(f'test={os.fspath(test)!r}, but {source} has splits of its own: {", ".join(lists)}')
        tests, _ = _read(Path(test))
        parts = {'train': annotations, 'test': tests}
        lists = {side: [name for item in items if (name := _name(item))] for side, items in parts.items()}
        annotations = [*annotations, *tests]
    sides, made_of = pair(lists, str(source))
    table = Table(_names(annotations), [_label(item) for item in annotations], sides, classes)
    with_keypoint = (item for item in annotations if isinstance(_part(item, 'keypoint'), np.ndarray))
    first: dict[str, Any] = next(with_keypoint, {})
    scored = 'keypoint_score' in first
    named = parse_channels(channels) or _channels(first)
    if normalise and num_coordinates(named) != 2:
        raise ConfigError('normalise (--normalise) is for pixels, but these clips are in 3-D')
    skeleton = read_layout(layout)
    mark = partial(mark_missing, channels=named, layout=skeleton)
    parse = partial(parse_annotation, scored=scored, normalise=mark if normalise else None)
    clips = [*_present(annotations, table, parse), *_absent(lists, table, source)]
    dataset, columns = Path(out).name, [*table.columns, *(column for columns in SHAPES.values() for column in columns)]
    with PackedWriter(out, dataset, skeleton, table.class_names(), table.splits(), overwrite, named, columns) as writer:
        writer.notes.update(_notes(annotations, made_of, normalise))
        add_clips(writer, str(source), clips, len(clips), choice, marked=normalise, strict=strict)


def clips_of(source: str | os.PathLike[str]) -> tuple[tuple[str, ...], Iterator[tuple[str, Read]]]:
    """Channels of a file, and name and reader of each of its clips, without a conversion.

    Raises:
        DataError: the file is damaged, or holds anything else than annotations.
        ConfigError: a number of values a joint that has no usual names.
    """
    annotations, _ = _read(Path(source))
    first: dict[str, Any] = next((item for item in annotations if isinstance(_part(item, 'keypoint'), np.ndarray)), {})
    reads = (partial(parse_annotation, item, 'keypoint_score' in first) for item in annotations)
    return _channels(first), zip(_names(annotations), reads, strict=True)


def parse_annotation(annotation: Any, scored: bool, normalise: Mark | None = None) -> tuple[np.ndarray, dict[str, int]]:
    """Keypoint ``(M, T, V, C)``, the score its last channel, and the columns that the annotation itself tells.

    Args:
        annotation: of the form above.
        scored: whether it should have a ``keypoint_score``, as the others of its set.
        normalise: marks missing joints in pixels, which are then normalised as in :func:`convert`; None keeps pixels.

    Raises:
        DataError: a part is missing or of another form.
    """
    if not isinstance(annotation, dict):
        raise DataError(f'it is a {type(annotation).__name__}, not a dict')
    if (name := _name(annotation)) is None:
        raise DataError(f'frame_dir={_shown(annotation, "frame_dir")} is no name')
    if (label := _label(annotation)) < 0 and not _is_unlabelled(annotation.get('label')):
        raise DataError(f'{name}: label={_shown(annotation, "label")} is no class number')
    keypoint = _numbers(annotation, 'keypoint')
    if keypoint.ndim != 4:
        raise DataError(f'{name}: keypoint has the shape {keypoint.shape}, not (persons, frames, joints, channels)')
    frames = annotation.get('total_frames', keypoint.shape[1])
    if not isinstance(frames, (int, np.integer)) or frames != keypoint.shape[1]:
        raise DataError(f'{name}: total_frames={frames!r:.60}, but keypoint has {keypoint.shape[1]} frames')
    if scored != ('keypoint_score' in annotation):
        raise DataError(f'{name}: {"no" if scored else "a"} keypoint_score, unlike the first annotation')
    shapes = {key: _image(annotation, key) for key in SHAPES}
    if keypoint.shape[3] < 2:
        raise DataError(f'{name}: {keypoint.shape[3]} values a joint are no x and y')
    if scored:
        score = _numbers(annotation, 'keypoint_score')
        if score.shape != keypoint.shape[:3]:
            raise DataError(f'{name}: keypoint_score has the shape {score.shape}, not {keypoint.shape[:3]}')
        keypoint = np.concatenate([keypoint, score[..., None]], axis=-1)
    if normalise:
        keypoint = to_image_units(normalise(keypoint), *_known(name, shapes['img_shape']))
    sizes = {column: size for key in SHAPES for column, size in zip(SHAPES[key], shapes[key], strict=True)}
    return keypoint, {'label': label, **sizes}


def to_image_units(keypoint: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels to the image's centre as origin and half its longer side as unit; absent persons, all zero, stay zero.

    Args:
        keypoint: ``(M, T, V, C)``, x and y first; other values stay as they are.
        height, width: of the image, in pixels.
    """
    with np.errstate(over='ignore'):  # becomes infinite, which the writer refuses by name
        pixels = keypoint[..., :2].astype(np.float32)
    moved = (pixels - np.array([width, height], np.float32) / 2) / (max(height, width) / 2)
    return np.concatenate([moved * present(keypoint)[..., None, None], keypoint[..., 2:]], axis=-1)


def export(packed: PackedSet, out: str | os.PathLike[str]) -> None:
    """Write a packed set as an annotation pickle: plain containers, numbers and numpy arrays alone.

    Each split becomes the two lists that it was made of, or ``NAME_train`` and ``NAME_val``. A set made by
    :func:`convert` gives back the annotations that it kept, in precision, too.

    Args:
        packed: the set.
        out: the file to write; it appears only when it is complete.

    Raises:
        ConfigError: the set has channels that the format has no place for.
    """
    D = num_coordinates(packed.channels)
    if packed.channels[D:] not in ((), ('score',)):
        raise ConfigError(f'{packed.path} has the channels {", ".join(packed.channels)}; only a score can be exported')
    annotations = [_annotation(packed, i, D) for i in progress(range(len(packed)), f'exporting {packed.path}')]
    lists = {}
    for split in packed.splits:
        made_of = packed.manifest.get('notes', {}).get(f'{_SPLIT} {split}', f'{split}_train / {split}_val')
        for name, indices in zip(made_of.split(' / '), split_by(packed, split), strict=True):
            lists[name] = packed.table['name'][indices].tolist()
    content = {'split': lists, 'annotations': annotations}
    write_atomic(out, lambda file: pickle.dump(content, file, protocol=4))


def _annotation(packed: PackedSet, i: int, D: int) -> dict[str, Any]:
    table = packed.table
    dtype = packed.manifest.get('notes', {}).get(_PRECISION, 'float32')
    clip = packed.clip(i)
    annotation = {'frame_dir': str(table['name'][i]), 'label': int(table['label'][i])}
    for key, columns in SHAPES.items():
        if columns[0] in table and table[columns[0]][i] > 0:
            annotation[key] = tuple(int(table[column][i]) for column in columns)
    annotation['total_frames'] = clip.shape[1]
    annotation['keypoint'] = clip[..., :D].astype(dtype)
    if clip.shape[-1] > D:
        annotation['keypoint_score'] = clip[..., D].astype(dtype)
    return annotation


def _read(path: Path) -> tuple[list[Any], dict[str, list[str]]]:
    """The annotations of a file and its named lists of clips."""
    content = load_plain(path)
    if isinstance(content, list):
        content = {'annotations': content}
    if not isinstance(content, dict) or not isinstance(content.get('annotations'), list) or not content['annotations']:
        raise DataError(f'{path} is no list of annotations, nor a dict with "split" and "annotations"')
    lists = content.get('split', {})
    if not isinstance(lists, dict) or not all(isinstance(name, str) and name.isprintable() for name in lists):
        raise DataError(f'{path}: "split" is a {type(lists).__name__}, not a dict of lists of clips')
    for name, names in lists.items():
        if not isinstance(names, (list, tuple, set)):
            raise DataError(f'{path}: split {name!r} is no list of clips')
        if not all(isinstance(clip, str) and clip.isprintable() for clip in names):
            raise DataError(f'{path}: split {name!r} lists something that is no name of a clip')
    return content['annotations'], {name: [str(clip) for clip in names] for name, names in lists.items()}


def _present(annotations: list[Any], table: Table, parse: Any) -> Iterator[tuple[str, str, Read]]:
    def read(i: int) -> tuple[np.ndarray, dict[str, int]]:
        keypoint, columns = parse(annotations[i])
        return keypoint, {**table.row(i), **columns}

    return ((name, f'annotation {i}', partial(read, i)) for i, name in enumerate(table.names))


def _absent(lists: dict[str, list[str]], table: Table, source: Any) -> Iterator[tuple[str, str, Read]]:
    described = set(table.names)
    where = {name: f'split {listed!r}' for listed, names in lists.items() for name in names if name not in described}
    return ((name, place, partial(absent, f'there is no annotation of {name}')) for name, place in where.items())


def _names(annotations: list[Any]) -> list[str]:
    """The clips' names; for an annotation without one, its place."""
    return [_name(item) or f'annotation {i}' for i, item in enumerate(annotations)]


def _part(annotation: Any, key: str) -> Any:
    return annotation.get(key) if isinstance(annotation, dict) else None


def _shown(annotation: Any, key: str) -> str:
    return ascii(_part(annotation, key))[:60]


def _name(annotation: Any) -> str | None:
    name = _part(annotation, 'frame_dir')
    return str(name) if isinstance(name, str) and name and name.isprintable() else None


def _label(annotation: Any) -> int:
    """:data:`UNLABELLED` where there is none."""
    label = _part(annotation, 'label')
    return (
        max(int(label), UNLABELLED)
        if isinstance(label, (int, np.integer)) and not isinstance(label, bool)
        else UNLABELLED
    )


def _is_unlabelled(label: Any) -> bool:
    return label is None or (isinstance(label, (int, np.integer)) and bool(label == UNLABELLED))


def _channels(annotation: dict[str, Any]) -> tuple[str, ...]:
    """Told by the shape; the usual ones where it tells nothing, since no clip will fit anyway."""
    shape: tuple[int, ...] = annotation['keypoint'].shape if annotation else ()
    if len(shape) == 4 and shape[3] not in BY_COUNT:
        raise ConfigError(f'keypoint has {shape[3]} values a joint: name them, as --channels x,y,score')
    return (*BY_COUNT[shape[3] if len(shape) == 4 else 3], *(['score'] if 'keypoint_score' in annotation else []))


def _numbers(annotation: dict[str, Any], key: str) -> np.ndarray:
    array = annotation.get(key)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in 'fiu':
        what = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f'{annotation["frame_dir"]}: {key} is no array of numbers ({what})')
    return array


def _image(annotation: dict[str, Any], key: str) -> tuple[int, int]:
    """Height and width, -1 where unknown."""
    shape = annotation.get(key)
    if shape is None:
        return -1, -1
    sizes = list(shape)[:2] if isinstance(shape, (tuple, list, np.ndarray)) else []
    if len(sizes) != 2 or not all(isinstance(size, (int, np.integer)) and 0 < size < 1 << 31 for size in sizes):
        raise DataError(f'{annotation["frame_dir"]}: {key}={_shown(annotation, key)} is not (height, width)')
    return int(sizes[0]), int(sizes[1])


def _known(name: str, size: tuple[int, int]) -> tuple[int, int]:
    if min(size) < 0:
        raise DataError(f'{name}: without img_shape its pixels cannot be normalised')
    return size


def _notes(annotations: list[Any], made_of: dict[str, str], normalise: bool) -> dict[str, str]:
    notes = {f'{_SPLIT} {split}': lists for split, lists in made_of.items()}
    dicts = [item for item in annotations if isinstance(item, dict)]
    arrays = (item.get(key) for item in dicts for key in ('keypoint', 'keypoint_score'))
    dtypes = {array.dtype for array in arrays if isinstance(array, np.ndarray)}
    if dtypes == {np.dtype('float16')} and not normalise:
        notes[_PRECISION] = 'float16'
    if normalise:
        notes['coordinates'] = 'origin at the image centre, unit half its longer side'
    if dropped := sorted({ascii(key) for item in dicts for key in item if key not in _KEPT}):
        notes['keys of annotations not kept'] = ', '.join(dropped)
    return notes
