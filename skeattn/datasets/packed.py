"""The packed format: one folder holds a data set's clips, their sample table and a manifest with hashes.

``frames.npy`` (rows, V, C) float32: the clips end to end; a clip's rows are its ``(M, T)`` in C order. An absent person
is all zero; a missing joint has NaN coordinates, and 0 in its other channels (:mod:`skeattn.datasets.missing`).
``samples.npz``: one array per column of :data:`COLUMNS` and of the set's own; -1 where the source does not know.
``manifest.json``: version, data set, layout, channels, classes, own columns, splits, counts, skipped clips, sha256
of the other two.
``copies.json``: groups of clips that hold the same recording, see :mod:`skeattn.datasets.copies`; can be removed.
"""

import contextlib
import errno
import json
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.channels import BY_COUNT, check_channels, num_coordinates
from skeattn.datasets.copies import CopyFinder
from skeattn.datasets.integrity import WORTH_NOTING, folder_of, is_intact, read_note, write_note
from skeattn.datasets.missing import anybody, missing_joints, missing_share, persons_first, settle
from skeattn.errors import ConfigError, DataError
from skeattn.files import sha256, write_atomic, write_json, write_text
from skeattn.progress import progress
from skeattn.renaming import renamed_arguments
from skeattn.skeletons import SkeletonLayout, describe_layout, get_layout

VERSION = 1
FRAMES, SAMPLES, MANIFEST, COPIES = 'frames.npy', 'samples.npz', 'manifest.json', 'copies.json'
FIELDS = ('label', 'subject', 'camera', 'setup', 'replication')
COLUMNS = ('name', *FIELDS, 'frames', 'persons', 'offset')
UNLABELLED = -1  # the label of a clip without one
# A header of fixed size, written again once the number of rows is known; numpy asks only for a multiple of 64.
_HEADER_BYTES = 128
# Folder -> format and options of tools/convert.py.
_CONVERSIONS = {
    'ntu60': ('ntu',),
    'ntu120': ('ntu',),
    'pkummd1': ('pkummd', '--part', '1'),
    'pkummd2': ('pkummd', '--part', '2'),
    'nwucla': ('nwucla',),
    'utdmhad': ('utdmhad',),
    'demo': ('synthetic',),
}
_GENERATED = ('synthetic',)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class PackedWriter:
    """Writes a packed set, all or nothing, with one clip in memory at a time.

    Everything goes to a hidden folder beside ``out``, which takes its name only when the ``with`` block ends well.

    Args:
        out: the folder to create.
        dataset: short name of the data set, for example ``'ntu60'``.
        layout: the skeleton layout or its name.
        classes: class names in label order.
        splits: ``{name: {'field': column, 'train': values}}``, see :mod:`skeattn.datasets.splits`.
        overwrite: replace a set that stands at ``out``; it is removed only when the new one is complete.
        channels: what the C values of a joint are: coordinates ``x``, ``y`` and, in 3-D, ``z`` first, then any other,
            such as ``score``. By default xyz for three values and xy for two.
        columns: names of columns of the set's own, integers, beside :data:`COLUMNS`.

    Raises:
        DataError: ``out`` exists and ``overwrite`` is not set; a clip is unusable; no clip was added; the disk is full.
        ConfigError: unknown layout, channels without x and y, or a split over an unknown column.
    """

    @renamed_arguments(protocols='splits')
    def __init__(
        self,
        out: str | os.PathLike[str],
        dataset: str,
        layout: str | SkeletonLayout,
        classes: Sequence[str],
        splits: Mapping[str, Mapping[str, Any]],
        overwrite: bool = False,
        channels: Sequence[str] | None = None,
        columns: Sequence[str] = (),
    ) -> None:
        self.out = Path(out)
        self.dataset = dataset
        self.layout = get_layout(layout)
        self.classes = list(classes)
        self.splits = {name: _plain_rule(rule) for name, rule in splits.items()}
        self.channels = None if channels is None else check_channels(channels)
        self.columns = tuple(columns)
        self.overwrite = overwrite
        self.skipped: list[dict[str, Any]] = []
        self.notes: dict[str, Any] = {}  # what else the manifest shall say of the conversion
        self.complete = False
        self.resources = contextlib.ExitStack()  # closed once the set is complete, or given up
        self._rows: list[tuple[Any, ...]] = []
        self._names: set[str] = set()
        self._copies = CopyFinder(self.layout)
        self._offset = 0
        self._missing = 0
        self._partial = self.out.parent / f'.{self.out.name}.{os.getpid()}.partial'
        for name, rule in self.splits.items():
            if rule['field'] not in (fields := (*FIELDS, *self.columns)):
                raise ConfigError(f'split {name!r}: field={rule["field"]!r} is none of {", ".join(fields)}')
        self._refuse_existing()

    def __enter__(self) -> 'PackedWriter':
        try:
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir(parents=True)
            self._file = open(self._partial / FRAMES, 'wb')
            self._file.write(bytes(_HEADER_BYTES))
        except OSError as error:
            raise _unwritable(self.out, error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            with self.resources:
                self._end(kind is None)
        except OSError as failure:
            raise _unwritable(self.out, failure) from failure
        if isinstance(error, OSError) and error.errno in _FULL:
            raise _unwritable(self.out, error) from error

    def _end(self, complete: bool) -> None:
        try:
            if complete:
                self._finish()
                self.complete = True
        finally:
            with contextlib.suppress(OSError):  # bytes that found no room on the disk
                self._file.close()
            shutil.rmtree(self._partial, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(
        self,
        name: str,
        keypoint: np.ndarray,
        *,
        label: int,
        subject: int = -1,
        camera: int = -1,
        setup: int = -1,
        replication: int = -1,
        **columns: int,
    ) -> None:
        """Append one clip.

        Args:
            name: unique name of the clip.
            keypoint: joints of shape ``(M, T, V, C)`` in metres; an absent person or frame is all zero, a missing joint
                has a NaN coordinate. Persons who are never there are moved behind the others.
            label: class index, -1 of an unlabelled clip.
            subject, camera, setup, replication: as the source numbers them, -1 if unknown.
            columns: a value for each of the set's own columns, -1 where not given.

        Raises:
            DataError: the clip is empty, of another joint count or a duplicate, has an infinite coordinate or a NaN
                beside the coordinates, no person is present, or its label has no class.
        """
        with np.errstate(over='ignore'):  # becomes infinite, which is refused by name below
            clip = np.ascontiguousarray(keypoint, dtype='<f4')
        if clip.ndim != 4 or clip.shape[2] != self.layout.num_joints:
            V = self.layout.num_joints
            raise DataError(f'{name}: shape {clip.shape} is not (persons, frames, {V} joints, channels)')
        if clip.size == 0:
            raise DataError(f'{name}: no frames (shape {clip.shape})')
        channels = self.channels or BY_COUNT.get(clip.shape[3])
        if channels is None:
            raise DataError(f'{name}: {clip.shape[3]} values a joint; name them, as channels=("x", "y", "score")')
        if clip.shape[3] != len(channels):
            raise DataError(
                f'{name}: {clip.shape[3]} values a joint, the set has {len(channels)}: {", ".join(channels)}'
            )
        D = num_coordinates(channels)
        if fault := broken_value(clip, channels, self.layout):
            raise DataError(f'{name}: {fault}')
        clip = persons_first(settle(clip, D))
        if not anybody(clip):
            raise DataError(f'{name}: no person is present, every value is zero or missing')
        if name in self._names:
            raise DataError(f'{name}: a clip of this name was added before')
        if not UNLABELLED <= label < len(self.classes):
            raise DataError(f'{name}: label {label} is outside 0..{len(self.classes) - 1}')
        own = [columns.pop(column, -1) for column in self.columns]
        if columns:
            raise TypeError(f'the set has no column {", ".join(columns)}; name it in PackedWriter(columns=...)')
        self._file.write(np.ascontiguousarray(clip).data)
        self._missing += int(missing_joints(clip, D).sum())
        self._names.add(name)
        self.channels = channels
        self._copies.add(clip[..., : num_coordinates(channels)])
        M, T = clip.shape[:2]
        self._rows.append((name, label, subject, camera, setup, replication, T, M, self._offset, *own))
        self._offset += M * T

    def skip(self, name: str, reason: str, intended: bool = False) -> None:
        """Record in the manifest that a clip of the source is left out, and why.

        Args:
            name: of the clip.
            reason: why it is left out.
            intended: a list of the authors or the user leaves it out; it is not lost.
        """
        self.skipped.append({'name': name, 'reason': reason, **({'intended': True} if intended else {})})

    def _finish(self) -> None:
        if not self._rows:
            raise DataError(f'{self.out}: no clip was added, nothing is written')
        self._file.seek(0)
        channels = self.channels or ()
        self._file.write(_npy_header((self._offset, self.layout.num_joints, len(channels))))
        self._file.flush()
        os.fsync(self._file.fileno())
        stored = zip((*COLUMNS, *self.columns), zip(*self._rows, strict=True), strict=True)
        columns: dict[str, Any] = {c: np.array(v, None if c == 'name' else np.int64) for c, v in stored}
        write_atomic(self._partial / SAMPLES, lambda file: np.savez_compressed(file, **columns))
        counts = {'clips': len(self._rows), 'rows': self._offset, 'channels': len(channels)}
        counts |= {'missing': self._missing} if self._missing else {}
        hashes = {file: sha256(self._partial / file) for file in (FRAMES, SAMPLES)}
        manifest = {
            'version': VERSION,
            'dataset': self.dataset,
            'layout': describe_layout(self.layout),
            'channels': channels,
            'classes': self.classes,
            'columns': self.columns,
            'protocols': self.splits,
            'counts': counts,
            'skipped': self.skipped,
            **({'notes': self.notes} if self.notes else {}),
            'sha256': hashes,
        }
        write_text(self._partial / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))
        self._write_copies(hashes)
        self._move_into_place()

    def _write_copies(self, hashes: dict[str, str]) -> None:
        frames, V = np.load(self._partial / FRAMES, mmap_mode='r'), self.layout.num_joints

        def read(i: int) -> np.ndarray:
            T, M, start = self._rows[i][6:9]
            clip = np.asarray(frames[start : start + M * T]).reshape(M, T, V, -1)
            return clip[..., : num_coordinates(self.channels or ())]

        groups = [[self._rows[i][0] for i in group] for group in self._copies.groups(read)]
        write_json(self._partial / COPIES, {'sha256': hashes, 'groups': groups})

    def _move_into_place(self) -> None:
        self._refuse_existing()
        if not self.out.exists():
            self._partial.rename(self.out)
            return
        old = self._partial.with_suffix('.old')
        self.out.rename(old)
        self._partial.rename(self.out)
        shutil.rmtree(old)

    def _refuse_existing(self) -> None:
        if not self.out.exists():
            return
        if not self.overwrite:
            raise DataError(f'{self.out} exists already; choose another folder or pass --overwrite (overwrite=True)')
        # Replacing removes what stood there, so it must be something that this format wrote, or nothing at all.
        if not self.out.is_dir() or (any(self.out.iterdir()) and not (self.out / MANIFEST).exists()):
            raise DataError(
                f'{self.out} is not a packed set, so it is not replaced; remove it yourself or choose another'
            )


@dataclass(frozen=True)
class PackedSet:
    """A packed set opened for reading; the frames stay on disk until a clip is asked for."""

    path: Path
    manifest: dict[str, Any]
    layout: SkeletonLayout
    classes: list[str]
    table: dict[str, np.ndarray]
    frames: np.ndarray

    @property
    def channels(self) -> tuple[str, ...]:
        """What the C values of a joint are: ``x``, ``y`` and, in 3-D, ``z`` first."""
        return tuple(self.manifest['channels'])

    @property
    def splits(self) -> dict[str, dict[str, Any]]:
        """``{name: {'field': column, 'train': values}}``; the manifest calls them ``protocols``."""
        return dict(self.manifest['protocols'])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> 'PackedSet':
        """Open the folder and check what can be checked without reading the frames.

        Raises:
            DataError: the folder is missing, incomplete, of another version, or its files disagree in size.
            ConfigError: the layout is not registered, or one of the same name differs from the set's own.
        """
        path = Path(path)
        if not (path / MANIFEST).is_file():
            raise DataError(f'no packed set at {path}; make it with\n  {convert_command(path)}')
        manifest = _read_manifest(path / MANIFEST)
        layout = get_layout(manifest['layout'])
        table = _read_table(path / SAMPLES, manifest['columns'])
        clips, rows, channels = (manifest['counts'][key] for key in ('clips', 'rows', 'channels'))
        with _damage(path / FRAMES):
            frames = np.lib.format.open_memmap(path / FRAMES, mode='r')
        if frames.shape != (rows, layout.num_joints, channels) or frames.dtype != np.float32:
            stored = f'{frames.dtype} {frames.shape}'
            raise DataError(f'{path / FRAMES} holds {stored}, not float32 {(rows, layout.num_joints, channels)}')
        sizes = table['persons'] * table['frames']
        tiled = np.array_equal(table['offset'], np.cumsum(sizes) - sizes) and sizes.sum() == rows
        if len(table['name']) != clips or not tiled or sizes.min(initial=1) < 1:
            raise DataError(f'{path / SAMPLES} does not describe {FRAMES}: convert the source again')
        return cls(path, manifest, layout, list(manifest['classes']), table, frames)

    def __len__(self) -> int:
        return len(self.table['name'])

    def clip(self, i: int) -> np.ndarray:
        """Clip ``i`` as ``(M, T, V, C)`` float32 in metres, read-only."""
        M, T, start = (int(self.table[column][i]) for column in ('persons', 'frames', 'offset'))
        rows = np.asarray(self.frames[start : start + M * T])  # a plain view, no longer a memmap
        return rows.reshape(M, T, *self.frames.shape[1:])

    def copies(self, again: bool = False) -> list[list[int]]:
        """Groups of clips that hold the same recording, see :mod:`skeattn.datasets.copies`; each and the list ascend.

        They are in a file beside the set, which is written when a set of an earlier version is first asked.

        Args:
            again: compare the clips, whatever the file says.
        """
        path, number = self.path / COPIES, {str(name): i for i, name in enumerate(self.table['name'])}
        note = None if again else read_note(path)
        if note and note.get('sha256') == self.manifest['sha256']:
            with contextlib.suppress(KeyError, TypeError):  # changed by hand: compare again
                return [[number[name] for name in group] for group in note['groups']]
        finder, D = CopyFinder(self.layout), num_coordinates(self.channels)
        for i in progress(range(len(self)), f'looking for copies in {self.path}'):
            finder.add(self.clip(i)[..., :D])
        groups = finder.groups(lambda i: self.clip(i)[..., :D])
        names = [[str(self.table['name'][i]) for i in group] for group in groups]
        if not again:
            write_note(path, {'sha256': self.manifest['sha256'], 'groups': names})
        return groups

    @property
    def has_missing(self) -> bool:
        """Whether any joint is missing, by the manifest."""
        return bool(self.manifest['counts'].get('missing'))

    def missing_share(self) -> np.ndarray:
        """For each clip the share of missing joints among those of the persons who are there, ``(N,)``."""
        return missing_share(self.frames, self.table['offset'], num_coordinates(self.channels))

    def verify(self, again: bool = False, cache: bool | str = True) -> None:
        """Compare the files with the manifest's hashes.

        Args:
            again: read them in any case; otherwise once per process, for as long as they are unchanged.
            cache: where notes on large files let later processes do without reading them, see
                :func:`~skeattn.datasets.integrity.folder_of`.

        Raises:
            DataError: a file differs from the one that was written.
        """
        for file, expected in self.manifest['sha256'].items():
            path = self.path / file
            folder = folder_of(self.path, cache) if path.stat().st_size >= WORTH_NOTING else None
            if not is_intact(path, expected, folder and folder / f'{file}.json', again):
                raise DataError(f'{path} is damaged (sha256 differs from {MANIFEST}): convert it again')


def class_name(classes: Sequence[str], label: int) -> str:
    """The name of a label: ``unlabelled`` for -1, ``label 7`` where no class has this number."""
    if label == UNLABELLED:
        return 'unlabelled'
    return str(classes[label]) if 0 <= label < len(classes) else f'label {label}'


def broken_value(clip: np.ndarray, channels: Sequence[str], layout: SkeletonLayout) -> str:
    """The first value that is neither a number nor a missing joint's, with its place; empty where all are.

    Args:
        clip: ``(M, T, V, C)``.
        channels: names of the C values. NaN coordinates are a missing joint; any other NaN, and infinity, are broken.
        layout: of the joints.
    """
    D = num_coordinates(channels)
    broken = np.isinf(clip)
    broken[..., D:] |= np.isnan(clip[..., D:])
    if not broken.any():
        return ''
    person, frame, joint, channel = np.argwhere(broken)[0]
    where = f'person {person}, frame {frame}, joint {layout.joints[joint]}'
    return f'NaN or infinite {"coordinate" if channel < D else channels[channel]} at {where}'


def is_generated(path: str | os.PathLike[str]) -> bool:
    """Whether the packed set at ``path`` needs no source, as far as the folder's name tells: it is computed."""
    return _CONVERSIONS.get(Path(path).name) == _GENERATED


def convert_arguments(path: str | os.PathLike[str], source: str = 'SOURCE') -> list[str]:
    """The arguments of ``tools/convert.py`` that make the packed set at ``path``.

    Args:
        path: of the set; its name tells the format, for which ``'FORMAT'`` stands otherwise.
        source: the raw data, where the format has any.
    """
    sources = [] if is_generated(path) else [source]
    return [*_CONVERSIONS.get(Path(path).name, ('FORMAT',)), *sources, '--out', str(path)]


def convert_command(path: str | os.PathLike[str]) -> str:
    """The command of :func:`convert_arguments`, for a shell."""
    return shlex.join(['python', 'tools/convert.py', *convert_arguments(path)])


def _read_manifest(path: Path) -> dict[str, Any]:
    with _damage(path):
        manifest = json.loads(path.read_text(encoding='utf-8'))
        if manifest['version'] != VERSION:
            raise DataError(f'{path} has format version {manifest["version"]}, not {VERSION}: convert the source again')
        counts = {key: int(manifest['counts'][key]) for key in ('clips', 'rows', 'channels')}
        counts |= {key: int(value) for key, value in manifest['counts'].items() if key == 'missing'}
        hashes = {file: str(manifest['sha256'][file]) for file in (FRAMES, SAMPLES)}
        splits = {name: _plain_rule(rule) for name, rule in manifest['protocols'].items()}
        # Sets written before a set could have them say nothing of columns and channels.
        columns = [str(column) for column in manifest.get('columns', ())]
        channels = check_channels(manifest.get('channels', BY_COUNT.get(counts['channels'], ())))
        if not all(p['field'] in (*FIELDS, *columns) for p in splits.values()):
            raise ValueError('a split over an unknown column')
        kept = {key: manifest[key] for key in ('dataset', 'layout', 'classes', 'skipped')}
        more = {'counts': counts, 'sha256': hashes, 'protocols': splits, 'columns': columns, 'channels': channels}
        return {**manifest, **kept, **more}


def _plain_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    plain = {'field': rule['field'], 'train': [int(value) for value in rule['train']]}
    if 'test' in rule:
        plain['test'] = [int(value) for value in rule['test']]
    if both := set(plain['train']) & set(plain.get('test', ())):
        raise ConfigError(f'a split over {rule["field"]} both trains and tests where it is {min(both)}')
    return plain


def _read_table(path: Path, columns: list[str]) -> dict[str, np.ndarray]:
    with _damage(path), np.load(path, allow_pickle=False) as stored:
        table = {column: stored[column] for column in (*COLUMNS, *columns)}
        if {len(values) for values in table.values()} != {len(table['name'])}:
            raise ValueError('columns of different length')
        if any(values.dtype != np.int64 for column, values in table.items() if column != 'name'):
            raise ValueError('a column of another type than int64')
    return table


@contextlib.contextmanager
def _damage(path: Path) -> Any:
    """Whatever goes wrong while a stored file is parsed becomes one DataError that names it."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f'{path} is damaged ({error}): convert the source again') from error


def _unwritable(out: Path, error: OSError) -> DataError:
    if error.errno in _FULL:
        return DataError(f'{out}: the disk is full, no set is written there; free some space and run the command again')
    return DataError(f'{out} cannot be written ({error})')


def _npy_header(shape: tuple[int, ...]) -> bytes:
    fields = repr({'descr': '<f4', 'fortran_order': False, 'shape': shape}).encode()
    magic = np.lib.format.magic(1, 0)
    length = _HEADER_BYTES - len(magic) - 2
    return magic + length.to_bytes(2, 'little') + fields.ljust(length - 1) + b'\n'
