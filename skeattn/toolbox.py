"""Configs and scripts of the toolbox, found by name from any folder.

In a checkout they are the folders ``configs/`` and ``tools/`` at its top; a wheel carries both in ``skeattn/share``.
"""

import os
from pathlib import Path

from skeattn.errors import ConfigError, did_you_mean

_PACKAGE = Path(__file__).resolve().parent
_SHARE = _PACKAGE / 'share'
ROOT = _SHARE if _SHARE.is_dir() else _PACKAGE.parent
CONFIGS, TOOLS = ROOT / 'configs', ROOT / 'tools'
TRAININGS = '[!_]*/*.py'
"""The configs of trainings, below ``configs/``; files of ``_base_`` are parts of them."""


def configs(pattern: str = TRAININGS) -> list[str]:
    """Configs of the toolbox, and of a folder ``configs/`` in the current folder, as ``configs/METHOD/NAME.py``.

    Args:
        pattern: of paths below ``configs/``.
    """
    folders = (Path('configs'), CONFIGS)
    inside = {path.relative_to(folder).as_posix() for folder in folders for path in folder.glob(pattern)}
    return [f'configs/{path}' for path in sorted(inside)]


def config_names() -> list[str]:
    """The short names of the trainings: ``METHOD/NAME``."""
    return [_short(path) for path in configs()]


def locate(config: str | os.PathLike[str]) -> Path | None:
    """The file of a config: a path, or else a name below ``configs/``, with or without ``configs/`` and ``.py``."""
    path = Path(config)
    if path.is_file():
        return path
    inside = _short(path)
    candidates = [folder / f'{inside}.py' for folder in (Path('configs'), CONFIGS)]
    return next((file for file in candidates if not path.is_absolute() and file.is_file()), None)


def find_config(config: str | os.PathLike[str]) -> Path:
    """:func:`locate`, which finds a file.

    Raises:
        ConfigError: no such file or name; suggests similar names.
    """
    file = locate(config)
    if file is None:
        hint = did_you_mean(_short(config), config_names(), 'skeattn info lists those of the toolbox')
        raise ConfigError(f'no config file {os.fspath(config)}; {hint}')
    return file


def config_name(config: str) -> str:
    """A config as commands and records name it: a path as it was given, a name as ``configs/METHOD/NAME.py``.

    What names no config is returned as it is; reading it is an error.
    """
    known = not Path(config).is_file() and locate(config) is not None
    return f'configs/{_short(config)}.py' if known else config


def _short(config: str | os.PathLike[str]) -> str:
    return Path(config).as_posix().removeprefix('configs/').removesuffix('.py')
