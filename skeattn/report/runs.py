"""What a training and its evaluations left in a folder; nothing of it is executed."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mmengine.config import Config

from skeattn.checkpoint import find_newest, read_checkpoint, stated_config, training_config
from skeattn.engine.config import resolve_config
from skeattn.errors import ConfigError, DataError, SkeAttnError, shorten
from skeattn.reading import read_json
from skeattn.results import record as records
from skeattn.results.record import Record
from skeattn.visualization.curves import Log, read_log

T = TypeVar('T')
MOST = 8
"""Runs on one page; as many as there are colours."""
TRACES = ('epoch_*.pth', '*/vis_data/scalars.json')


@dataclass
class Run:
    """A work_dir.

    Attributes:
        name: on the page.
        folder: the work_dir.
        checkpoint: its newest readable one; ``meta``: what it states of itself.
        config: resolved, as plain values; empty if it is unknown.
        records: file name -> record of an evaluation, in the order in which they were finished.
        log: of the training.
        missing: part -> reason why it is missing: ``checkpoint``, ``config``, ``log``, ``records``.
        notes: on files that were passed over.
    """

    name: str
    folder: Path
    checkpoint: Path | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    log: Log | None = None
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def record(self) -> Record | None:
        """The newest record of trained weights, or of any."""
        every = list(self.records.values())
        return next((one for one in reversed(every) if one.checkpoint), every[-1] if every else None)

    def attempt(self, part: str, read: Callable[[], T]) -> T | None:
        """The result of ``read``; None after an error of the user's files, which becomes the reason of the part."""
        try:
            return read()
        except (SkeAttnError, OSError) as error:
            self.missing[part] = str(error)
            return None


def find_runs(arguments: Sequence[str | os.PathLike[str]]) -> list[Run]:
    """The runs of ``WORK_DIR`` and ``NAME=WORK_DIR``; of a folder that only holds work_dirs, all of these.

    Raises:
        ConfigError: no such folder, too many runs, or one is listed twice.
        DataError: a folder holds neither a run nor work_dirs with one.
    """
    named: dict[Path, str] = {}
    for argument in [os.fspath(argument) for argument in arguments]:
        name, sign, path = ('', '', argument) if Path(argument).exists() else argument.partition('=')
        folder = Path(path if sign else argument)
        for one in _work_dirs(folder):
            if one.resolve() in {other.resolve() for other in named}:
                raise ConfigError(f'{one} is listed twice; list it once')
            named[one] = name if one == folder else ''
    if len(named) > MOST:
        listed = shorten([str(folder) for folder in named])
        raise ConfigError(f'{len(named)} runs are too many for one page ({listed}); give at most {MOST}')
    names = _names(named)
    return [read_run(name, folder) for name, folder in zip(names, named, strict=True)]


def read_run(name: str, folder: Path) -> Run:
    """All readable parts of a work_dir; the others have a reason in ``missing``."""
    run = Run(name, folder)
    run.checkpoint = run.attempt('checkpoint', lambda: find_newest(folder, run.notes.append))
    if run.checkpoint:
        run.meta = read_checkpoint(run.checkpoint)['meta']
    else:
        run.missing.setdefault('checkpoint', f'{folder} holds no checkpoint (epoch_*.pth)')
    run.records = _records(run)
    if not run.records:
        run.missing['records'] = f'{folder} holds no record of an evaluation; skeattn test writes one'
    run.log = run.attempt('log', lambda: read_log(folder))
    run.config = _config(run)
    if not run.config:
        run.missing['config'] = f'{folder} holds no config, neither in a checkpoint nor as a file'
    return run


def _work_dirs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f'{folder}: no such folder; give the work_dir of a training')
    if _holds_run(folder):
        return [folder]
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and _holds_run(path)]
    if not inside:
        raise DataError(
            f'{folder} holds nothing to report: no checkpoint (epoch_*.pth), no log (*/vis_data/scalars.json) and no '
            f'record of skeattn test; give the work_dir of a training'
        )
    return inside


def _holds_run(folder: Path) -> bool:
    return any(next(folder.glob(trace), None) for trace in TRACES) or any(map(_is_record, folder.glob('*.json')))


def _names(named: dict[Path, str]) -> list[str]:
    """Those given, or the shortest ends of the paths that tell the folders apart."""
    names = []
    for folder, given in named.items():
        parts = folder.resolve().parts
        others = [other.resolve().parts for other in named if other != folder]
        length = next(n for n in range(1, len(parts) + 1) if not any(parts[-n:] == other[-n:] for other in others))
        names.append(given or '/'.join(parts[-length:]))
    if len({*names}) < len(names):
        raise ConfigError(f'two runs have one name among {", ".join(names)}; give other names, NAME=WORK_DIR')
    return names


def _is_record(path: Path) -> bool:
    """Whether a JSON file means to be a record."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and 'sources' in content


def _records(run: Run) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for path in filter(_is_record, sorted(run.folder.glob('*.json'))):
        try:
            found[path.name] = records.read(path)
        except SkeAttnError as error:
            run.notes.append(f'skipped: {error}')
    return dict(sorted(found.items(), key=lambda item: (item[1].finished or '', item[0])))


def _config(run: Run) -> dict[str, Any]:
    """From the checkpoint, or else from the text of a dumped file, whose plain values are read without executing it."""
    if isinstance(run.meta.get('config'), dict):
        return training_config(run.meta)
    files = [*sorted(run.folder.glob('*.py')), *sorted(run.folder.glob('*/vis_data/config.py'), reverse=True)]
    texts = [str(run.meta.get('cfg', '')), *(path.read_text(errors='replace') for path in files)]
    stated = next((config for text in texts if (config := stated_config({'cfg': text}))), {})
    try:
        return resolve_config(Config(stated)).to_dict() if stated else {}
    except (SkeAttnError, TypeError, ValueError, AttributeError, KeyError):
        return stated
