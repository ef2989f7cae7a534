"""Everything that holds clips, as the data set that an encoder reads: arrays, files, folders and packed sets."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from mmengine.logging import print_log

from skeattn.channels import check_channels, num_coordinates
from skeattn.datasets import PackedSet, Pipeline
from skeattn.datasets.converters.clips import read_layout
from skeattn.datasets.converters.recordings import Described, Recording, read_recordings
from skeattn.datasets.materialise import packed_inputs
from skeattn.datasets.measures import IN_A_METRE, unit_of
from skeattn.datasets.missing import anybody, broken_value, mark_missing
from skeattn.datasets.packed import MANIFEST, UNLABELLED, class_name
from skeattn.datasets.rows import Rows
from skeattn.datasets.skeleton_dataset import split_missing
from skeattn.errors import ConfigError, DataError, NobodyError, shorten
from skeattn.models.joint_names import are_several
from skeattn.skeletons import LAYOUTS, SkeletonLayout, corresponding, describe_layout

Array: TypeAlias = np.ndarray | torch.Tensor
Clip: TypeAlias = Array | str | os.PathLike[str]
Clips: TypeAlias = Clip | PackedSet | Mapping[str, Array] | Iterable[Clip | PackedSet]
"""One clip or several, see :class:`Preparation`."""
CROWD = 10
"""More persons in an array than these are probably frames or clips."""
MEASURED = 20
"""Number of clips whose unit is looked at."""
Layout: TypeAlias = str | Mapping[str, Any] | SkeletonLayout


def own_layout(preprocessor: Any, layout: Layout | None = None) -> SkeletonLayout:
    """The layout that a network reads: its own, or the stated one if the network knows joints by name.

    Args:
        preprocessor: of the network.
        layout: of its clips, if stated.

    Raises:
        ConfigError: an unknown layout, or none for a network that knows joints by name.
    """
    if not are_several(preprocessor.layout_name):
        return preprocessor.layout
    if layout is None:
        known = ', '.join(map(str, preprocessor.layout_name))
        raise ConfigError(f'the network was trained on the layouts {known}; state that of the clips, layout=...')
    return read_layout(layout)


class ClipSet:
    """Clips after the pipeline: a data set, as far as feature extraction reads it.

    Args:
        prepared: ``(C + 1, T, V, M)`` of each clip; the last channel marks missing joints.
        facts: name, class and subject of each clip.
        classes: names of the classes in their order; others that occur follow, sorted.
        layout: name of that of the prepared clips.

    Attributes:
        clips: ``(N, C, T, V, M)`` float32.
        missing: ``(N, T, V, M)`` bool, joints that are still missing; None where there are none.
        names: of the clips.
        classes: names of the classes.
        labels: (N,) int64 indices of classes, -1 of an unlabelled clip.
        subjects: (N,) int64, -1 where unknown.
    """

    def __init__(
        self,
        prepared: Sequence[np.ndarray],
        facts: Sequence[tuple[str, str, int]],
        classes: Sequence[str] | None = None,
        layout: str | None = None,
    ) -> None:
        self.reads = layout
        names, labels, subjects = zip(*facts, strict=True)
        self.clips, self.missing = split_missing(torch.from_numpy(np.stack(prepared)))
        self.names = list(names)
        self.classes = tuple(dict.fromkeys([*(classes or ()), *sorted({*labels} - {''})]))
        number = {'': UNLABELLED, **{name: i for i, name in enumerate(self.classes)}}
        self.labels = torch.tensor([number[label] for label in labels])
        self.subjects = torch.tensor(subjects)

    def relabel(self, labels: Sequence[Any] | Mapping[str, Any]) -> None:
        """Replace the labels.

        Args:
            labels: a name or a number for each clip, in their order or by the names of the clips; None, empty or the
                number -1 for a clip without one.

        Raises:
            DataError: their number is not that of the clips, or one is of an unknown clip.
        """
        if isinstance(labels, str):
            raise DataError(f'labels={labels!r} is one text; pass a list with a label for each clip')
        if isinstance(labels, Mapping):
            if unknown := sorted(set(labels) - set(self.names)):
                raise DataError(f'labels of clips that are not there: {shorten(unknown)}')
            labels = [labels.get(name) for name in self.names]
        plain = list(map(_plain, labels))
        if wrong := [label for label in plain if isinstance(label, np.ndarray | torch.Tensor | list | dict)]:
            raise DataError(
                f'a label is {wrong[0]!r:.60}; give one name or number for each clip, not an array or a list'
            )
        given = ['' if _is_none(label) else label for label in plain]
        if len(given) != len(self):
            raise DataError(f'{len(given)} labels for {len(self)} clips; give one for each clip, None without a label')
        known = {*given} - {''}
        ordered = sorted(known) if all(isinstance(label, int) for label in known) else sorted(map(str, known))
        self.classes = tuple(map(str, ordered))
        number = {name: i for i, name in enumerate(self.classes)}
        self.labels = torch.tensor([UNLABELLED if label == '' else number[str(label)] for label in given])

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """The batch of the clips at ``indices``, see ``SkeletonDataset.__getitems__``, and the name of its layout."""
        batch = Rows(self.clips, self.labels, self.missing).take(torch.as_tensor(indices, dtype=torch.int64))
        return batch if self.reads is None else {**batch, 'layout': self.reads}


def _plain(label: Any) -> Any:
    """A label of numpy or torch as that of Python."""
    single = isinstance(label, np.generic) or (isinstance(label, np.ndarray | torch.Tensor) and label.ndim == 0)
    return label.item() if single else label


def _is_none(label: Any) -> bool:
    """Whether a clip has no label; the columns of a packed set mark it by -1."""
    return label is None or label == '' or label != label or (label == UNLABELLED and not isinstance(label, str))


class Preparation:
    """Turns clips into the input of an encoder.

    Args:
        layout, channels: of the encoder.
        pipeline: the steps of its training, the last one ``PackClip``.
        stated: layout of clips for which a call states none and their format determines none; by default the encoder's.
    """

    def __init__(
        self,
        layout: SkeletonLayout,
        channels: Sequence[str],
        pipeline: Mapping[str, Mapping[str, Any] | None],
        stated: Layout | None = None,
    ) -> None:
        self.layout, self.channels, self.steps = layout, tuple(channels), pipeline
        self.stated = None if stated is None else read_layout(stated)
        self._pipelines = {layout: Pipeline(pipeline)}

    def __call__(self, clips: Clips, layout: Layout | None = None, channels: Sequence[str] | None = None) -> ClipSet:
        """Read clips and run them through the pipeline.

        Args:
            clips: one clip or several, in one of these forms:

                * an array or tensor ``(T, V, C)`` or ``(M, T, V, C)``: one clip; ``(N, M, T, V, C)``: N clips of equal
                  length. Coordinates have the unit of the training data (metres in 3-D). An absent person is all zero;
                  undetected joints are NaN, or values that :func:`~skeattn.datasets.missing.mark_missing` recognises;
                * a path: of a packed set, or of a file, folder or zip archive that
                  :func:`~skeattn.datasets.converters.recordings.read_recordings` reads;
                * a :class:`~skeattn.datasets.PackedSet`;
                * a list of these, whose clips may differ in length, or a dict of arrays by name.
            layout: of arrays, and of files whose format does not determine it: a name, a definition, or a ``.json``
                file with one; by default that of the encoder. Clips of a different layout are converted by the names
                of the joints.
            channels: names of a joint's values, likewise. Values that the encoder does not read, such as a score, are
                dropped after missing joints were found by them.

        Raises:
            DataError: a clip has the wrong shape or values, no person is present, or a file is unusable; names the
                clip.
            ConfigError: an unknown layout, or one that lacks joints of the encoder's; lists them.
        """
        described = Described(
            (self.stated or self.layout) if layout is None else read_layout(layout),
            self.channels if channels is None else check_channels(channels),
            stated=layout is not None,
        )
        if isinstance(clips, str | os.PathLike) and (Path(clips) / MANIFEST).is_file():
            clips = PackedSet.open(clips)
        prepared, facts = [], []
        for clip in _recordings(clips, described):
            prepared.append(self._prepared(clip))
            facts.append((clip.name, clip.label, clip.subject))
            if prepared[-1].shape != prepared[0].shape:
                now, before = (inputs.shape[1:] for inputs in (prepared[-1], prepared[0]))
                raise DataError(
                    f'{clip.name}: shape {now} after the pipeline, the previous clips have {before}; pass clips of '
                    f'different lengths one by one: the pipeline of this encoder has no step that makes them equal'
                )
        if not prepared:
            raise DataError('there are no clips; pass at least one')
        classes = clips.classes if isinstance(clips, PackedSet) else None
        reads = self._pipelines[self.layout].layout_after(self.layout)
        self._note_unit(prepared, reads)
        return ClipSet(prepared, facts, classes, reads.name)

    def _note_unit(self, prepared: Sequence[np.ndarray], layout: SkeletonLayout) -> None:
        """Warn, in one line, of clips that reach a 3-D encoder in another unit than metres."""
        D = num_coordinates(self.channels)
        places = np.stack(prepared[:MEASURED])[:, :D].transpose(0, 4, 2, 3, 1)
        lower, upper = (layout.locate(places, end) for end in layout.spine)  # one may be the origin
        lengths = np.linalg.norm(upper - lower, axis=-1)
        lengths = lengths[lengths > 0]
        trunk = float(np.median(lengths)) if len(lengths) else 0.0
        unit = unit_of(trunk, D) if D == 3 else ''
        if unit in IN_A_METRE:
            print_log(
                f'the trunks of these clips are {trunk:.4g} long, so their unit is probably {unit}, but the encoder '
                f'reads metres; divide the coordinates by {IN_A_METRE[unit]}',
                'current',
                logging.WARNING,
            )

    def _prepared(self, clip: Recording) -> np.ndarray:
        """``(C + 1, T, V, M)``; the last channel marks missing joints."""
        keypoint, facts = self._values(clip), {'layout': clip.layout, 'channels': self.channels, 'name': clip.name}
        if fault := broken_value(keypoint, self.channels, clip.layout):
            raise DataError(
                f'{clip.name}: {fault}; give undetected joints NaN coordinates and set absent persons to zero'
            )
        if not anybody(keypoint):
            raise NobodyError(f'{clip.name}: no person is present, every value is zero or missing; leave the clip out')
        pipeline = self._pipeline_of(clip)
        with np.errstate(over='ignore', invalid='ignore'):  # absurd coordinates overflow; the result is checked
            prepared = pipeline({'keypoint': keypoint, 'total_frames': keypoint.shape[1], **facts})
            return packed_inputs(prepared, clip.name, marked=True)

    def _values(self, clip: Recording) -> np.ndarray:
        """The values that the encoder reads, ``(M, T, V, C)``."""
        if clip.channels == self.channels:
            return clip.keypoint
        lacking = [name for name in self.channels if name not in clip.channels]
        if lacking or num_coordinates(clip.channels) != num_coordinates(self.channels):
            raise DataError(
                f'{clip.name}: its joints have the values {", ".join(clip.channels)}, but the encoder reads '
                f'{", ".join(self.channels)}; use an encoder that was trained on such values'
            )
        return clip.keypoint[..., [clip.channels.index(name) for name in self.channels]]

    def _pipeline_of(self, clip: Recording) -> Pipeline:
        """The pipeline for clips of a layout, after their conversion to that of the encoder."""
        if clip.layout not in self._pipelines:
            try:
                corresponding(clip.layout, self.layout)
            except ConfigError as error:
                raise ConfigError(
                    f'{clip.name}: {error}; use an encoder that was trained on {clip.layout.name!r}'
                ) from error
            convert = {'type': 'ToLayout', 'layout': describe_layout(self.layout)}
            self._pipelines[clip.layout] = Pipeline({'to_layout': convert, **self.steps})
        return self._pipelines[clip.layout]


def _recordings(clips: Any, described: Described) -> Iterator[Recording]:
    """The clips of :data:`Clips`, in their order."""
    if isinstance(clips, str | os.PathLike | PackedSet):
        yield from _stored(clips, described)
    elif isinstance(clips, Mapping):
        for name, clip in clips.items():
            yield _recording(str(name), clip, described)
    elif isinstance(clips, np.ndarray | torch.Tensor):
        several = clips if clips.ndim == 5 else [clips]
        for i, clip in enumerate(several):
            yield _recording(f'clip {i}', clip, described)
    elif isinstance(clips, Iterable):
        for i, clip in enumerate(clips):
            if isinstance(clip, str | os.PathLike | PackedSet):
                yield from _stored(clip, described)
            else:
                yield _recording(f'clip {i}', clip, described)
    else:
        raise DataError(f'clips={clips!r:.100} is a {type(clips).__name__}; pass arrays, paths, or a packed set')


def _stored(clips: str | os.PathLike[str] | PackedSet, described: Described) -> Iterator[Recording]:
    """The clips of a packed set or of raw files."""
    if not isinstance(clips, PackedSet):
        if not (Path(clips) / MANIFEST).is_file():
            if sets := sorted(str(manifest.parent) for manifest in Path(clips).glob(f'*/{MANIFEST}')):
                raise DataError(f'{clips} is no packed set, but a folder of {shorten(sets)}; pass one or a list')
            yield from read_recordings(clips, described)
            return
        clips = PackedSet.open(clips)
    if described.stated and described.layout != clips.layout:
        raise ConfigError(
            f'layout={described.layout.name!r}, but {clips.path} has layout {clips.layout.name!r}; leave layout out'
        )
    clips.verify()
    for i, (name, label, subject) in enumerate(zip(*(clips.table[key] for key in _FACTS), strict=True)):
        stated = '' if label == UNLABELLED else class_name(clips.classes, int(label))
        yield Recording(str(name), clips.clip(i), clips.layout, clips.channels, stated, int(subject))


_FACTS = ('name', 'label', 'subject')


def _recording(name: str, clip: Any, described: Described) -> Recording:
    """A clip given as an array, with missing joints marked."""
    keypoint = _numbers(name, clip)
    shape, (V, C) = keypoint.shape, (described.layout.num_joints, len(described.channels))
    keypoint = keypoint[None] if keypoint.ndim == 3 else keypoint
    if keypoint.ndim != 4 or keypoint.shape[2:] != (V, C) or not keypoint.size:
        raise DataError(
            f'{name} has shape {shape}; layout {described.layout.name!r} needs (T, {V}, {C}) or (M, T, {V}, {C}), a '
            f'joint has the values {", ".join(described.channels)}{_hint(keypoint.shape, described)}'
        )
    M, T = keypoint.shape[:2]
    if min(max(T, 4), CROWD) < M:
        print_log(
            f'{name} has shape {shape}, read as {M} persons in {T} frames; frames come after persons (M, T, V, C), and '
            f'several clips are a list or (N, M, T, V, C)',
            'current',
            logging.WARNING,
        )
    keypoint = mark_missing(keypoint, described.channels, described.layout)
    return Recording(name, keypoint, described.layout, described.channels)


def _numbers(name: str, clip: Any) -> np.ndarray:
    """An array or tensor as float32."""
    if isinstance(clip, torch.Tensor):
        clip = clip.detach().cpu()
        clip = (clip.float() if clip.dtype in (torch.bfloat16, torch.float16) else clip).numpy()
    elif isinstance(clip, np.ma.MaskedArray) and clip.dtype.kind in 'fiu':
        clip = np.ma.filled(clip.astype(np.float64), np.nan)
    try:
        array = np.asarray(clip)
    except ValueError as error:
        raise DataError(f'{name} is no array: {error}; pass numbers of shape (T, V, C) or (M, T, V, C)') from error
    if array.dtype.kind not in 'fiu':
        what = f'a {type(clip).__name__}' if array.dtype == object else str(array.dtype)
        raise DataError(f'{name} holds {what}, not numbers; pass an array of shape (T, V, C) or (M, T, V, C)')
    with np.errstate(over='ignore'):  # becomes infinite, which is reported by its place
        return array.astype(np.float32)


def _hint(shape: tuple[int, ...], described: Described) -> str:
    """The end of a message: how clips of this shape may be meant."""
    if len(shape) == 4 and shape[3] == len(described.channels) and shape[2] != described.layout.num_joints:
        fitting = [name for name, layout in LAYOUTS.items() if layout.num_joints == shape[2]]
        return f'; if these are joints of {" or ".join(fitting)}, pass layout=...' if fitting else ''
    if len(shape) == 2:
        return '; a list holds one array per clip: stack the frames of a clip'
    return ''
