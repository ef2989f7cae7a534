"""The folder of a training: its default, whether it can be used, and what a failed start leaves."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.dist import is_main_process

from skeattn.checkpoint import find_newest
from skeattn.errors import ConfigError, SkeAttnError


def default_work_dir(config: str) -> Path:
    """A separate folder for every config: configs of two methods often have the same name."""
    path = Path(config).with_suffix('')
    inside = path.parts[len(path.parts) - path.parts[::-1].index('configs') :] if 'configs' in path.parts else ()
    return Path('work_dirs', *(inside or (path.name,)))


def check_work_dir(path: Path) -> None:
    """Refuse a path that is no writable folder and cannot become one.

    Raises:
        ConfigError: such a path.
    """
    nearest = next(folder for folder in (path.absolute(), *path.absolute().parents) if os.path.lexists(folder))
    if not nearest.is_dir():
        raise ConfigError(f'work_dir={str(path)!r} must be a folder; {nearest} is a file')
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f'work_dir={str(path)!r} must be a folder that you can write; {nearest} is not')


@contextmanager
def failed_start_removed(work_dir: Path) -> Iterator[None]:
    """Remove the new folders of a training that ends with a user error before its first step."""
    made = [folder for folder in (work_dir, *work_dir.parents) if not folder.exists()]
    before = {path.name for path in work_dir.iterdir()} if work_dir.is_dir() else set()
    try:
        yield
    except SkeAttnError:
        new = [path for path in work_dir.iterdir() if path.name not in before] if work_dir.is_dir() else []
        logs = [path for path in new if re.fullmatch(r'\d{8}_\d{6}(_\d+)?', path.name)]
        started = any((log / 'vis_data/scalars.json').exists() for log in logs) or find_newest(work_dir) is not None
        if not started and is_main_process():
            for path in new:
                if path in logs:
                    shutil.rmtree(path)
                elif path.suffix == '.py':
                    path.unlink()
            for folder in made:
                with contextlib.suppress(OSError):  # something else is in it
                    folder.rmdir()
        raise
