"""Prepared clips kept on disk: a split that went through a pipeline once is mapped at the next start.

An entry is a plain ``.npy`` file and a note that holds its hash. A faulty entry (missing, truncated, changed, without
note) is built again; with an unusable folder (read-only, full, without locks) the clips are prepared in memory, as
without a cache. A folder of entries may be removed at any time.

The key covers everything that determines the clips: the set's manifest (with the hashes of its files), the indices of
the clips, the steps with their arguments, the versions of skeattn and numpy, and the code. The code is the files
of :data:`CODE` and, for a step defined elsewhere, its file and the Python files beside it. Steps whose code cannot be
read (a notebook), or has changed since this process started, are not cached.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

import skeattn
from skeattn.datasets.integrity import is_intact, note_intact, read_note
from skeattn.datasets.packed import PackedSet
from skeattn.datasets.transforms import Pipeline
from skeattn.errors import ConfigError
from skeattn.files import lock, sha256, write_atomic

CODE = (
    'channels.py',
    'errors.py',
    'registry.py',
    'signatures.py',
    'skeletons.py',
    'steps.py',
    'datasets/materialise.py',
    'datasets/missing.py',
    'datasets/packed.py',
    'datasets/transforms/*.py',
    'datasets/union.py',
)
"""The files of the package that determine prepared clips: the steps, their imports, and their callers."""
LIMIT_GB = 30.0
_PACKAGE = Path(skeattn.__file__).resolve().parent
_STARTED = time.time()


def key_of(
    packed: PackedSet, indices: np.ndarray, steps: Mapping[str, Any], pipeline: Pipeline, kind: str = ''
) -> str | None:
    """Name of the entry, a hash; None if the clips must not be cached, because a change could go unnoticed.

    Args:
        packed: the set.
        indices: of the clips.
        steps: the pipeline's config.
        pipeline: built from it.
        kind: which of several arrays made by this pipeline.
    """
    code = _code(pipeline)
    facts = {
        'versions': [skeattn.__version__, np.__version__],
        'manifest': packed.digest,
        'layouts': repr(
            [packed.layout, pipeline.layout_after(packed.layout)]
        ),  # the definition behind a name may be the user's
        'clips': np.asarray(indices).tolist(),
        'steps': [dict(step) for step in steps.values() if step is not None],
        'code': code,
        'kind': kind,
    }
    try:
        text = json.dumps(facts, sort_keys=True)
    except TypeError:  # an argument that JSON cannot hold
        return None
    return hashlib.sha256(text.encode()).hexdigest()[:32] if code else None


def cached(folder: Path, key: str, build: Callable[[], np.ndarray]) -> np.ndarray:
    """The entry of that key, mapped copy-on-write; built first if it is missing or damaged.

    Only one process builds; others that need an entry of the folder wait for it.

    Args:
        folder: from :func:`folder_of`.
        key: from :func:`key_of`.
        build: makes the array.
    """
    path = folder / f'{key}.npy'
    clips = _read(path)
    if clips is not None:
        return clips
    try:
        held = lock(folder / 'lock')
    except OSError as error:
        warnings.warn(f'prepared clips are not kept: {folder} cannot be locked: {error}', stacklevel=2)
        return build()
    with held:
        clips = _read(path)  # another process may have built it meanwhile
        return _store(path, build()) if clips is None else clips


def _read(path: Path) -> np.ndarray | None:
    note = path.with_suffix('.json')
    content = read_note(note)
    try:
        if content is None or not is_intact(path, str(content.get('sha256')), note):
            return None
        clips: np.ndarray = np.load(path, mmap_mode='c', allow_pickle=False)
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):
        os.utime(note)  # last used now
    return clips


def _store(path: Path, array: np.ndarray) -> np.ndarray:
    """Write an entry and map it; if that fails, return the array itself."""
    try:
        write_atomic(path, lambda file: np.save(file, array))
        note_intact(path, sha256(path), path.with_suffix('.json'))
    except OSError as error:
        warnings.warn(f'prepared clips are not kept in {path.parent}: {error}', stacklevel=3)
        return array
    _bound(path)
    stored = _read(path)
    return array if stored is None else stored


def _bound(newest: Path) -> None:
    """Remove the least recently used entries until the folder is within its limit."""
    try:
        limit = float(os.environ.get('SKEATTN_CACHE_GB', LIMIT_GB)) * 1e9
    except ValueError:
        raise ConfigError(f'SKEATTN_CACHE_GB={os.environ["SKEATTN_CACHE_GB"]!r} is not a number') from None

    def last_used(path: Path) -> float:
        note = path.with_suffix('.json')
        return note.stat().st_mtime if note.exists() else 0.0

    with contextlib.suppress(OSError):
        entries = sorted((path for path in newest.parent.glob('*.npy') if path != newest), key=last_used)
        total = sum(path.stat().st_size for path in (*entries, newest))
        for path in entries:
            if total <= limit:
                break
            total -= path.stat().st_size
            path.unlink(missing_ok=True)
            path.with_suffix('.json').unlink(missing_ok=True)


def _code(pipeline: Pipeline) -> list[tuple[str, str]] | None:
    """Names and hashes of files; None if some cannot be read or may differ from the code that this process runs."""
    files = {file for pattern in CODE for file in _PACKAGE.glob(pattern)}
    modules = _modules(pipeline)
    if modules is None:
        return None
    for name in modules:
        path = getattr(sys.modules.get(name), '__file__', None)
        if not path or not (file := Path(path).resolve()).is_file():
            return None
        if file not in files:
            files |= {file, *file.parent.glob('*.py')}
    if any(file.stat().st_mtime > _STARTED for file in files):
        return None
    return sorted((file.name, sha256(file)) for file in files)


def _modules(pipeline: Pipeline) -> set[str] | None:
    """The modules that define the steps and their contents (nested steps, functions); None if unknown."""
    names = set[str]()

    class Visitor(pickle.Pickler):
        def persistent_id(self, value: Any) -> None:  # called for everything that the pipeline holds
            kinds = value.__mro__ if isinstance(value, type) else (value,) if isinstance(value, FunctionType) else ()
            names.update(str(kind.__module__) for kind in kinds)

    try:
        Visitor(io.BytesIO()).dump(pipeline)
    except Exception:  # for example a function without a name, or an open file
        return None
    return {name for name in names if name.partition('.')[0] not in sys.stdlib_module_names}
