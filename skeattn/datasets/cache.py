"""Prepared clips kept on disk: a split that went through a pipeline once is mapped at the next start.

An entry is a plain ``.npy`` with a note beside it that holds its hash. Whatever is wrong with an entry (missing,
truncated, changed, without note) it is built again; whatever is wrong with the folder (read-only, full, without locks)
the clips are prepared in memory, as without a cache. A folder of entries may be removed at any time.

The key covers all that the clips follow from: the set's manifest (which holds the hashes of its files), the clips
chosen, the steps with their arguments, and the code of the steps: the modules of their classes and what these import,
installed packages excepted. Steps whose code cannot be read (a notebook), or was changed since this process began, are
not cached.
"""

import ast
import contextlib
import fcntl
import hashlib
import importlib.util
import io
import json
import os
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import IO, Any

import numpy as np

from skeattn.datasets.integrity import is_intact, note_intact, read_note
from skeattn.datasets.packed import MANIFEST, PackedSet
from skeattn.datasets.transforms import Pipeline
from skeattn.errors import ConfigError

FORMAT = 1
"""To be raised when clips come out otherwise although no step was changed."""
LIMIT_GB = 30.0
_STARTED = time.time()
_INSTALLED = tuple({str(Path(sysconfig.get_path(p)).resolve()) for p in ('stdlib', 'platstdlib', 'purelib', 'platlib')})
# What a step inherits or is registered through, but does not compute with.
_FRAMEWORK = ('builtins', 'abc', 'typing', 'mmcv', 'mmengine', 'numpy', 'torch')


def key_of(packed: PackedSet, chosen: np.ndarray, steps: Mapping[str, Any], pipeline: Pipeline) -> str | None:
    """Name of the entry, a hash; None where the clips may not be cached, because a change could go unnoticed."""
    code = _code(pipeline)
    written = [dict(step) for step in steps.values() if step is not None]
    try:
        arguments = json.dumps(written, sort_keys=True)
    except TypeError:  # an argument that no file could hold
        return None
    if code is None:
        return None
    parts = (
        f'{FORMAT} numpy {np.__version__}'.encode(),
        (packed.path / MANIFEST).read_bytes(),
        repr(packed.layout).encode(),
        np.ascontiguousarray(chosen, dtype='<i8').tobytes(),
        arguments.encode(),
        code,
    )
    return hashlib.sha256(b''.join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


def cached(folder: Path, key: str, build: Callable[[], np.ndarray]) -> np.ndarray:
    """The entry of that key, mapped copy-on-write; built first where it is missing or damaged.

    Only one process builds, others that want an entry of the folder wait for it.

    Args:
        folder: from :func:`folder_of`.
        key: from :func:`key_of`.
        build: makes the array.
    """
    path = folder / f'{key}.npy'
    found = _read(path)
    if found is not None:
        return found
    try:
        lock = _lock(folder / 'lock')
    except OSError as error:
        warnings.warn(f'prepared clips are not kept, {folder} cannot be locked: {error}', stacklevel=2)
        return build()
    with lock:
        found = _read(path)  # another process may have built it meanwhile
        return _store(path, build()) if found is None else found


def _read(path: Path) -> np.ndarray | None:
    note = path.with_suffix('.json')
    known = read_note(note)
    try:
        if known is None or not is_intact(path, str(known.get('sha256')), note):
            return None
        found: np.ndarray = np.load(path, mmap_mode='c', allow_pickle=False)
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):
        os.utime(note)  # last used now
    return found


def _store(path: Path, array: np.ndarray) -> np.ndarray:
    """Write an entry and map it; where that fails, the array itself."""
    partial = path.with_suffix('.partial')
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    parts: list[Any] = [header.getbuffer(), *np.array_split(array, 1 + (array.nbytes >> 26))]
    digest = hashlib.sha256()
    try:
        with open(partial, 'wb') as file:
            for part in parts:
                digest.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        note_intact(path, digest.hexdigest(), path.with_suffix('.json'))
    except OSError as error:
        partial.unlink(missing_ok=True)
        warnings.warn(f'prepared clips are not kept in {path.parent}: {error}', stacklevel=3)
        return array
    _bound(path)
    stored = _read(path)
    return array if stored is None else stored


def _bound(newest: Path) -> None:
    """Remove what a killed process left, and the entries not used for longest until the folder keeps to its limit."""
    try:
        limit = float(os.environ.get('SKEATTN_CACHE_GB', LIMIT_GB)) * 1e9
    except ValueError:
        raise ConfigError(f'SKEATTN_CACHE_GB={os.environ["SKEATTN_CACHE_GB"]!r} is not a number') from None
    folder = newest.parent
    with contextlib.suppress(OSError):
        for left in folder.glob('*.partial'):
            left.unlink(missing_ok=True)

    def last_used(path: Path) -> float:
        note = path.with_suffix('.json')
        return note.stat().st_mtime if note.exists() else 0.0

    with contextlib.suppress(OSError):
        entries = sorted((path for path in folder.glob('*.npy') if path != newest), key=last_used)
        total = sum(path.stat().st_size for path in (*entries, newest))
        for path in entries:
            if total <= limit:
                break
            total -= path.stat().st_size
            path.unlink(missing_ok=True)
            path.with_suffix('.json').unlink(missing_ok=True)


def _lock(path: Path) -> IO[str]:
    """Take a lock file, waiting for it. It ends with its holder, so there is no stale one."""
    file = open(path, 'a')  # noqa: SIM115  the caller closes it
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        file.close()
        raise
    return file


def _code(pipeline: Pipeline) -> bytes | None:
    """Digest of the code of all steps; None where some cannot be read or may differ from what this process runs."""
    digest = hashlib.sha256()
    for name, file in sorted(_followed(_modules(pipeline)).items()):
        if file is None or not file.is_file() or file.stat().st_mtime > _STARTED:
            return None
        digest.update(name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()


def _modules(pipeline: Pipeline) -> set[str]:
    """Where the steps and what they hold (steps within steps, functions) are defined."""
    waiting: list[Any] = list(pipeline.steps.values())
    names, seen = set(), set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, (list, tuple, set)):
            waiting += value
        elif isinstance(value, (type, FunctionType)):
            names.add(value.__module__)
        elif hasattr(value, '__dict__'):
            names |= {kind.__module__ for kind in type(value).__mro__}
            waiting += vars(value).values()
    return {name for name in names if name.split('.')[0] not in _FRAMEWORK}


def _followed(names: set[str]) -> dict[str, Path | None]:
    """The files of these modules and of what they import, installed packages excepted."""
    found: dict[str, Path | None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        file = found[name] = _file(name)
        if file is not None and file.suffix == '.py' and _changes(name, file):
            waiting += [n for n in _imports(file, name) if n not in found and _changes(n, _file(n))]
    return found


def _changes(name: str, file: Path | None) -> bool:
    """Whether the module is one that its user may edit."""
    return file is not None and (name.split('.')[0] == 'skeattn' or not str(file).startswith(_INSTALLED))


def _imports(file: Path, name: str) -> list[str]:
    """What a module's text imports, anywhere in it: modules, and names that may be modules."""
    package = name if file.name == '__init__.py' else name.rpartition('.')[0]
    names = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                base = importlib.util.resolve_name('.' * node.level + base, package)
            names += [base, *(f'{base}.{alias.name}' for alias in node.names)]
    return names


def _file(name: str) -> Path | None:
    """The file of a module, loaded or not; None where there is none or the name is no module's."""
    if name in sys.modules:
        file = getattr(sys.modules[name], '__file__', None)
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            spec = None
        file = spec.origin if spec is not None and spec.has_location else None
    return Path(file).resolve() if file else None
