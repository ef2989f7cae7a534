"""Checkpoints: safe reading, loading with a report, atomic writing, and the newest one of a run."""

import ast
import contextlib
import os
import pickle
import re
import zipfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from skeattn.errors import CheckpointError, shorten
from skeattn.files import write_atomic
from skeattn.models.momentum import complete_pairs
from skeattn.published import SUFFIX
from skeattn.reading import check_stored
from skeattn.safe_tensors import read_tensors
from skeattn.training_state import training_state_fault

PROBE_PREFIX = 'skeattn.probe.'
"""Before the names of the tensors of a published probe."""
LAST = 'last_checkpoint'
EPOCH_FILE = 'epoch_{}.pth'
ITERATION_FILE = 'epoch_{}_iter_{}.pth'
"""Within an epoch: the number of complete epochs, and of all iterations."""
_NAME = re.compile(r'epoch_(\d+)(?:_iter_(\d+))?\.pth')

Progress = tuple[int, int]
"""Complete epochs, and all iterations within an epoch (0 at its end): the order of the checkpoints of a run."""


@dataclass
class LoadReport:
    """The result of loading weights into a model.

    Args:
        loaded: names in both, with equal shapes.
        missing: names of the model that the checkpoint lacks; they keep their values.
        unexpected: names of the checkpoint that the model lacks.
    """

    loaded: list[str]
    missing: list[str]
    unexpected: list[str]

    def __str__(self) -> str:
        counts = f'{len(self.loaded)} of {len(self.loaded) + len(self.missing)} tensors loaded'
        missing = f', {len(self.missing)} missing ({shorten(self.missing)})' if self.missing else ''
        unexpected = f', {len(self.unexpected)} unexpected ({shorten(self.unexpected)})' if self.unexpected else ''
        return counts + missing + unexpected


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint with ``weights_only=True`` and nothing allow-listed.

    The configuration text in ``meta`` is for people: never execute it.

    Args:
        path: a file written by this toolbox, or any file of tensors by name, by torch or as safetensors.
        map_location: as in ``torch.load``.

    Returns:
        a dict with at least ``state_dict`` and ``meta``; a bare mapping of tensors, or the only such mapping in the
        file under any name, becomes the ``state_dict``. A published file with a probe also has ``probe``.

    Raises:
        CheckpointError: the file is missing, damaged, or holds anything but tensors and plain values, or the progress
            of a training is not of the types that it writes.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'{path}: no such checkpoint; check the path')
    if path.suffix == SUFFIX:
        return _read_published(path, map_location)
    try:
        _check_crc(path)
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # damaged bytes raise whatever the unpickler stumbles over
        raise CheckpointError(_why_unreadable(path, error)) from error
    if not isinstance(checkpoint, Mapping) or not checkpoint:
        raise CheckpointError(
            f'{path} holds a {type(checkpoint).__name__}, not tensors by name; save a state_dict with torch.save'
        )
    if 'state_dict' not in checkpoint:
        nested = [value for value in checkpoint.values() if _is_state(value) and value]
        checkpoint = {'state_dict': nested[0] if len(nested) == 1 else checkpoint}
    if not _is_state(checkpoint['state_dict']):
        raise CheckpointError(
            f'{path}: state_dict holds a value that is not a tensor; save a state_dict of tensors with torch.save'
        )
    if not isinstance(checkpoint.get('meta', {}), Mapping):
        raise CheckpointError(f'{path} is damaged: its meta holds no facts by name; use another checkpoint')
    fault = training_state_fault(checkpoint) if 'optimizer' in checkpoint else None
    if fault:
        raise CheckpointError(f'{path} is damaged: {fault}; use another checkpoint')
    return {'meta': {}, **checkpoint}


def _read_published(path: Path, map_location: Any) -> dict[str, Any]:
    """See :func:`read_checkpoint`."""
    try:
        stored, meta = read_tensors(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{path} is damaged: {error}; copy or download it again') from error
    if not stored:
        raise CheckpointError(f'{path} holds no tensors; publish it again')
    tensors = {name: value.to(map_location) for name, value in stored.items()}
    state = {name: value for name, value in tensors.items() if not name.startswith(PROBE_PREFIX)}
    probe = {name.removeprefix(PROBE_PREFIX): value for name, value in tensors.items() if name.startswith(PROBE_PREFIX)}
    return {
        'meta': meta,
        'state_dict': state,
        **({'probe': {'tensors': probe, 'facts': meta.get('probe')}} if probe else {}),
    }


def omitted_parts(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """How the names of the tensors begin that were left out of a published checkpoint."""
    names = meta.get('omitted')
    return tuple(f'{name}.' for name in names) if isinstance(names, list) else ()


def stated_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values at the top level of the config in a checkpoint's ``meta``; the config is never executed."""
    stated: dict[str, Any] = {}
    with contextlib.suppress(SyntaxError):
        for node in ast.parse(str(meta.get('cfg', ''))).body:
            if isinstance(node, ast.Assign):
                with contextlib.suppress(ValueError):
                    stated[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
    return stated


def training_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The config in a checkpoint's ``meta`` as plain values, never executed; empty where it holds none.

    It is resolved; that of an earlier version is as written, and as far as its text is plain.
    """
    config = meta.get('config')
    return dict(config) if isinstance(config, Mapping) else stated_config(meta)


TRAINING = ('method', 'epoch', 'versions')
"""Facts of a training that its network keeps in memory."""


def encoder_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Known properties of a trained encoder: ``backbone``, its type, and ``num_frames`` of a clip.

    Args:
        meta: of a checkpoint; values that it lacks are read from its config.
    """
    stated = training_config(meta)
    pipeline = (stated.get('dataset') or {}).get('pipeline') or {}
    frames = [pipeline[name]['num_frames'] for name in length_steps(pipeline)]
    backbone = ((stated.get('model') or {}).get('backbone') or {}).get('type')
    facts = {'backbone': meta.get('backbone', backbone), 'num_frames': meta.get('num_frames', (frames or [None])[-1])}
    return {key: value for key, value in facts.items() if value is not None}


def class_names(meta: Mapping[str, Any]) -> list[str] | None:
    """Names of the classes of a training's data set; None where its checkpoint holds none."""
    dataset = meta.get('dataset')
    names = dataset.get('classes') if isinstance(dataset, Mapping) else None
    return list(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def length_steps(pipeline: Mapping[str, Any]) -> list[str]:
    """Names of the steps of a pipeline that set the number of frames; the last one decides."""
    return [name for name, step in pipeline.items() if step and 'num_frames' in step]


def note_clip_length(model: nn.Module, frames: int) -> str | None:
    """A line for clips of a different length than a loaded encoder was trained on; None otherwise, or after the first.

    Args:
        model: from :func:`load_checkpoint`, which keeps the facts of its training in ``model.trained_on``.
        frames: of a clip.
    """
    facts = getattr(model, 'trained_on', None) or {}
    trained = facts.get('num_frames')
    if trained in (None, frames) or frames in facts['noted']:
        return None
    facts['noted'].append(frames)
    step = facts.get('length_step')
    cure = f'; for equal lengths: --cfg-options dataset.pipeline.{step}.num_frames={trained}' if step else ''
    return f'{facts["checkpoint"]} was trained on clips of {trained} frames and is evaluated on clips of {frames}{cure}'


def backbone_type(model: nn.Module) -> str | None:
    """Class name of a model's first backbone; None for a model without one."""
    types = (type(part).__name__ for name, part in model.named_modules() if name.rpartition('.')[2] == 'backbone')
    return next(types, None)


def load_weights(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    source: str | os.PathLike[str],
    min_match: float = 0.5,
    meta: Mapping[str, Any] | None = None,
) -> LoadReport:
    """Copy weights into a model by name.

    Args:
        model: the model, not wrapped.
        state_dict: tensors by name; a leading ``module.`` is dropped.
        source: origin of the tensors, for messages.
        min_match: share of the model's tensors that the checkpoint must have; those of the encoder are always
            required. 1 also refuses names that the model lacks. Parts that were left out of a published checkpoint
            do not count: half of each pair of query and key encoder becomes a copy of the other, queues are not loaded.
        meta: of the checkpoint, so that an error can name a different backbone as its cause.

    Returns:
        loaded, missing and unexpected names.

    Raises:
        CheckpointError: too few names match, or shapes differ; gives counts and the first names.
    """
    stored = {name.removeprefix('module.'): value for name, value in state_dict.items()}
    own = model.state_dict()
    shared = [name for name in own if name in stored]
    absent, omitted = [name for name in own if name not in stored], omitted_parts(meta or {})
    missing = [name for name in absent if not name.startswith(omitted)]
    report = LoadReport(shared, missing, [name for name in stored if name not in own])
    misfits = [f'{n} {tuple(stored[n].shape)}, not {tuple(own[n].shape)}' for n in shared
               if stored[n].shape != own[n].shape]  # fmt: skip
    if misfits:
        raise CheckpointError(
            f'{source}: {len(misfits)} tensors have a different shape than in the model ({shorten(misfits, "; ")}); '
            f'{_cure(model, meta or {})}'
        )
    random = [name for name in absent if re.search(r'(^|\.)encoder(_q)?\.', name)]
    if random or len(shared) < min_match * (len(shared) + len(missing)) or (min_match >= 1 and report.unexpected):
        raise CheckpointError(f'{source} does not fit the model: {report}; {_cure(model, meta or {})}')
    model.load_state_dict(stored, strict=False)
    if omitted:
        complete_pairs(model, shared)
    return report


def load_checkpoint(model: nn.Module, path: str | os.PathLike[str], min_match: float = 0.5) -> LoadReport:
    """Read a checkpoint safely and copy its weights into a model; logs the :class:`LoadReport`.

    ``model.trained_on`` then holds ``checkpoint``, the path, :func:`encoder_facts`, ``pipeline``, ``data``, ``split``,
    the model's ``persons`` and ``pool``, :data:`TRAINING` and ``classes``, the names of the classes of its data set,
    and ``probe``, the published one, as far as known.

    Raises:
        CheckpointError: it was trained on a different stream, layout or channels; see also :func:`read_checkpoint`
            and :func:`load_weights`.
    """
    checkpoint = read_checkpoint(path)
    preprocessor = getattr(model, 'data_preprocessor', None)
    places = {'stream': 'stream', 'layout': 'layout_name', 'channels': 'channels'}
    now = {key: getattr(preprocessor, place, None) for key, place in places.items()}
    check_origin(path, checkpoint['meta'], now)
    method, ours = checkpoint['meta'].get('method'), type(model).__name__
    if method and method.lower() != ours.lower():
        raise CheckpointError(f'{path} was trained by {method}, the config says {ours}; use a config of {method}')
    report = load_weights(model, checkpoint['state_dict'], path, min_match, checkpoint['meta'])
    print_log(f'{path}: {report}', 'current')
    stated = training_config(checkpoint['meta'])
    data = stated.get('dataset') or {}
    facts = {
        'checkpoint': str(path),
        **encoder_facts(checkpoint['meta']),
        'pipeline': data.get('pipeline'),
        'noted': [],
    }
    if stated:
        facts |= {'data': data.get('data'), 'split': data.get('split')}
        facts |= {key: (stated.get('model') or {}).get(key) for key in ('persons', 'pool')}
    facts |= {key: checkpoint['meta'][key] for key in TRAINING if checkpoint['meta'].get(key) is not None}
    facts['classes'] = class_names(checkpoint['meta'])
    facts['probe'] = checkpoint.get('probe')
    object.__setattr__(model, 'trained_on', facts)
    return report


def check_origin(path: str | os.PathLike[str], meta: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise a CheckpointError if a checkpoint's known stream, layout or channels differ from those of ``now``."""
    for key, value in now.items():
        then, value = _plain(meta.get(key)), _plain(value)
        if None not in (then, value) and then != value:
            raise CheckpointError(
                f'{path} was trained with {key}={then!r}, the config says {value!r}; set {key}={then}'
            )


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint that ``torch.load(path, weights_only=True)`` loads with nothing allow-listed."""
    write_atomic(path, lambda file: torch.save(plain(checkpoint), file))


def plain(value: Any) -> Any:
    """The same value built only from builtin types and CPU tensors.

    Raises:
        TypeError: a value of any other type, which a safe reader would refuse.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, deque)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value) if value.dtype.kind in 'biuf' else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (os.PathLike, torch.device, torch.dtype)):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f'a checkpoint holds builtin values and tensors, not {type(value)}')


def find_newest(work_dir: str | os.PathLike[str], report: Callable[[str], Any] = print) -> Path | None:
    """The newest readable checkpoint of a run.

    ``last_checkpoint`` names it. If that file is damaged or missing, the one before it is taken, and so on.

    Args:
        work_dir: folder of the run, wherever it was copied.
        report: receives a message for each skipped checkpoint.

    Returns:
        its path, or None if the run never wrote one.

    Raises:
        CheckpointError: there are checkpoints, but none can be read.
    """
    work_dir = Path(work_dir)
    files = checkpoint_files(work_dir)
    pointer = work_dir / LAST
    if pointer.is_file():
        last = _progress(Path(pointer.read_text(errors='replace').strip()).name)
        # Later ones than the pointer's are left from an earlier run in the same folder.
        files = {progress: path for progress, path in files.items() if last is None or progress <= last}
    for progress in sorted(files, reverse=True):
        try:
            read_checkpoint(files[progress])
        except CheckpointError as error:
            report(f'skipped: {error}')
        else:
            return files[progress]
    if files:
        raise CheckpointError(f'{work_dir}: none of its {len(files)} checkpoints can be read; start without --resume')
    return None


def checkpoint_files(work_dir: Path) -> dict[Progress, Path]:
    """The checkpoints from which a run can resume, by the progress in their names."""
    named = [(_progress(path.name), path) for path in work_dir.glob('epoch_*.pth')]
    return {progress: path for progress, path in named if progress is not None}


def _progress(name: str) -> Progress | None:
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2] or 0)) if match else None


def _cure(model: nn.Module, meta: Mapping[str, Any]) -> str:
    then, now = encoder_facts(meta).get('backbone'), backbone_type(model)
    if None in (then, now) or then == now:
        return 'use the config that the checkpoint was trained with'
    return f'it was trained with backbone {then}, the config says {now}; use a config with backbone {then}'


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())


def _plain(stream: Any) -> Any:
    return list(stream) if isinstance(stream, tuple) else stream


def _check_crc(path: Path) -> None:
    """torch stores a checksum of every tensor and does not look at it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            check_stored(path, file)
            broken = file.testzip()
        if broken:
            raise zipfile.BadZipFile(f'{broken} does not match its checksum')


def _why_unreadable(path: Path, error: Exception) -> str:
    foreign = re.search(r'GLOBAL ([\w.]+)', str(error))
    if isinstance(error, pickle.UnpicklingError) and foreign:
        return (
            f'{path} refused: it holds {foreign[1]} beside tensors and plain values, and reading that could run code; '
            f'if you trust it, save only its state_dict with torch.save'
        )
    told = isinstance(error, (RuntimeError, OSError, ValueError, EOFError, zipfile.BadZipFile)) and str(error)
    reason = str(error).splitlines()[0][:200] if told else 'not a file that torch wrote'
    return f'{path} is damaged or incomplete ({path.stat().st_size} bytes): {reason}; copy or download it again'
