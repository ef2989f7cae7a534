"""The packed format: one folder holds a data set's clips, their sample table and a manifest with hashes.

``frames.npy`` (rows, V, C) float32: the clips end to end; a clip's rows are its ``(M, T)`` in C order. An absent person
is all zero; a missing joint has NaN coordinates, and 0 in its other channels (:mod:`skeattn.datasets.missing`).
``samples.npz``: one array per column of :data:`COLUMNS` and of the set's own; -1 where the source does not know.
``manifest.json``: version, data set, layout, channels, classes, own columns, splits, counts, skipped clips, sha256
of the other two. ``manifest.sha256``: its own, as ``sha256sum`` writes it; sets of earlier versions have none.
``copies.json``: groups of clips that hold the same recording, see :mod:`skeattn.datasets.copies`; can be removed.
"""

import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.channels import BY_COUNT, check_channels, num_coordinates
from skeattn.datasets.copies import CopyFinder
from skeattn.datasets.integrity import WORTH_NOTING, folder_of, is_intact, read_note, write_note
from skeattn.datasets.missing import missing_share
from skeattn.errors import ConfigError, DataError
from skeattn.files import sha256
from skeattn.progress import progress
from skeattn.reading import read_arrays, read_json
from skeattn.skeletons import SkeletonLayout, get_layout

VERSION = 1
FRAMES, SAMPLES, MANIFEST, COPIES = 'frames.npy', 'samples.npz', 'manifest.json', 'copies.json'
CHECKSUM = 'manifest.sha256'
FIELDS = ('label', 'subject', 'camera', 'setup', 'replication')
COLUMNS = ('name', *FIELDS, 'frames', 'persons', 'offset')
UNLABELLED = -1  # the label of a clip without one
# Folder -> format and options of skeattn convert.
_CONVERSIONS = {
    'ntu60': ('ntu',),
    'ntu120': ('ntu',),
    'pkummd1': ('pkummd', '--part', '1'),
    'pkummd2': ('pkummd', '--part', '2'),
    'nwucla': ('nwucla',),
    'utdmhad': ('utdmhad',),
    **{name: (name,) for name in ('msraction3d', 'utkinect', 'florence3d', 'sbu', 'kard', 'msrc12')},
    'demo': ('synthetic',),
}
_GENERATED = ('synthetic',)


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

    @property
    def digest(self) -> str:
        """Identity of the content: sha256 of the manifest, which holds those of the other files."""
        return sha256(self.path / MANIFEST)

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
        clips, rows, channels = (manifest['counts'][key] for key in ('clips', 'rows', 'channels'))
        table = _read_table(path / SAMPLES, manifest['columns'], clips)
        with _damage(path / FRAMES):
            frames = np.lib.format.open_memmap(path / FRAMES, mode='r')
        if frames.shape != (rows, layout.num_joints, channels) or frames.dtype != np.float32:
            stored = f'{frames.dtype} {frames.shape}'
            raise DataError(f'{path / FRAMES} holds {stored}, not float32 {(rows, layout.num_joints, channels)}')
        sizes = table['persons'] * table['frames']
        tiled = np.array_equal(table['offset'], np.cumsum(sizes) - sizes) and sizes.sum() == rows
        if not tiled or sizes.min(initial=1) < 1:
            raise DataError(f'{path / SAMPLES} does not describe {FRAMES}: convert the source again')
        return cls(path, manifest, layout, list(manifest['classes']), table, frames)

    def __len__(self) -> int:
        return len(self.table['name'])

    def clip(self, i: int) -> np.ndarray:
        """Clip ``i`` as ``(M, T, V, C)`` float32 in metres, read-only."""
        M, T, start = (int(self.table[column][i]) for column in ('persons', 'frames', 'offset'))
        rows = np.asarray(self.frames[start : start + M * T])  # a plain view, no longer a memmap
        return rows.reshape(M, T, *self.frames.shape[1:])

    def layout_of(self, i: int) -> SkeletonLayout:
        """The layout of clip ``i``."""
        return self.layout

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
            again: always read them; otherwise once per process, for as long as they are unchanged.
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


def is_generated(path: str | os.PathLike[str]) -> bool:
    """Whether the packed set at ``path`` needs no source, as far as the folder's name tells: it is computed."""
    return _CONVERSIONS.get(Path(path).name) == _GENERATED


def convert_arguments(path: str | os.PathLike[str], source: str = 'SOURCE') -> list[str]:
    """The arguments of ``skeattn convert`` that make the packed set at ``path``.

    Args:
        path: of the set; its name tells the format, for which ``'FORMAT'`` stands otherwise.
        source: the raw data, where the format has any.
    """
    sources = [] if is_generated(path) else [source]
    return [*_CONVERSIONS.get(Path(path).name, ('FORMAT',)), *sources, '--out', str(path)]


def convert_command(path: str | os.PathLike[str]) -> str:
    """The command of :func:`convert_arguments`, for a shell."""
    return shlex.join(['skeattn', 'convert', *convert_arguments(path)])


def checksum_line(manifest: Path) -> str:
    """The content of :data:`CHECKSUM`: ``sha256sum --check`` reads it, too."""
    return f'{sha256(manifest)}  {manifest.name}\n'


def _read_manifest(path: Path) -> dict[str, Any]:
    checksum = path.with_name(CHECKSUM)
    if checksum.is_file() and checksum.read_text(errors='replace') != checksum_line(path):
        raise DataError(
            f'{path} is not the one that the conversion wrote: it is damaged or was edited. Convert the source again; '
            f'if you edited it on purpose, remove {checksum}'
        )
    with _damage(path):
        manifest = read_json(path)
        if manifest['version'] != VERSION:
            raise DataError(f'{path} has format version {manifest["version"]}, not {VERSION}: convert the source again')
        counts = {key: int(manifest['counts'][key]) for key in ('clips', 'rows', 'channels')}
        counts |= {key: int(value) for key, value in manifest['counts'].items() if key == 'missing'}
        hashes = {file: str(manifest['sha256'][file]) for file in (FRAMES, SAMPLES)}
        splits = {name: plain_rule(rule) for name, rule in manifest['protocols'].items()}
        # Sets written before a set could have them say nothing of columns and channels.
        columns = [str(column) for column in manifest.get('columns', ())]
        channels = check_channels(manifest.get('channels', BY_COUNT.get(counts['channels'], ())))
        if not all(p['field'] in (*FIELDS, *columns) for p in splits.values()):
            raise ValueError('a split over an unknown column')
        classes, layout = manifest['classes'], manifest['layout']
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise ValueError('classes is not a list of names')
        if not isinstance(layout, str | dict):
            raise ValueError('layout is neither a name nor a definition')
        kept = {key: manifest[key] for key in ('dataset', 'layout', 'classes', 'skipped')}
        more = {'counts': counts, 'sha256': hashes, 'protocols': splits, 'columns': columns, 'channels': channels}
        return {**manifest, **kept, **more}


def plain_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule of a split as builtin values.

    Raises:
        ConfigError: a value both trains and tests.
    """
    plain = {'field': rule['field'], 'train': [int(value) for value in rule['train']]}
    if 'test' in rule:
        plain['test'] = [int(value) for value in rule['test']]
    if both := set(plain['train']) & set(plain.get('test', ())):
        raise ConfigError(f'a split over {rule["field"]} both trains and tests where it is {min(both)}')
    return plain


def _read_table(path: Path, columns: list[str], clips: int) -> dict[str, np.ndarray]:
    with _damage(path):
        table = read_arrays(path, dict.fromkeys((*COLUMNS, *columns), (clips,)))
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
