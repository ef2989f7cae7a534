"""The writer of the packed format of :mod:`skeattn.datasets.packed`."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.channels import BY_COUNT, check_channels, num_coordinates
from skeattn.datasets.copies import CopyFinder
from skeattn.datasets.missing import anybody, broken_value, missing_joints, persons_first, settle
from skeattn.datasets.packed import (
    CHECKSUM,
    COLUMNS,
    COPIES,
    FIELDS,
    FRAMES,
    MANIFEST,
    SAMPLES,
    UNLABELLED,
    VERSION,
    checksum_line,
    plain_rule,
)
from skeattn.errors import ConfigError, DataError, shorten
from skeattn.files import sha256, write_atomic, write_json, write_text
from skeattn.renaming import renamed_arguments
from skeattn.skeletons import SkeletonLayout, describe_layout, get_layout

# A header of fixed size, written again once the number of rows is known; numpy asks only for a multiple of 64.
_HEADER_BYTES = 128
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
        self.splits = {name: plain_rule(rule) for name, rule in splits.items()}
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
        write_text(self._partial / CHECKSUM, checksum_line(self._partial / MANIFEST))
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
        own = (FRAMES, SAMPLES, MANIFEST, CHECKSUM, COPIES)
        others = sorted(path.name for path in self.out.iterdir() if path.name not in own and path.name[0] != '.')
        if others:
            raise DataError(
                f'{self.out} also holds {shorten(others)}, which would be lost with the set; move it elsewhere'
            )


def _unwritable(out: Path, error: OSError) -> DataError:
    if error.errno in _FULL:
        return DataError(f'{out}: the disk is full, no set is written there; free some space and run the command again')
    return DataError(f'{out} cannot be written ({error})')


def _npy_header(shape: tuple[int, ...]) -> bytes:
    fields = repr({'descr': '<f4', 'fortran_order': False, 'shape': shape}).encode()
    magic = np.lib.format.magic(1, 0)
    length = _HEADER_BYTES - len(magic) - 2
    return magic + length.to_bytes(2, 'little') + fields.ljust(length - 1) + b'\n'
