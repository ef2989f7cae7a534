"""Runs that are resumed from a copy of another one."""

import shutil
from pathlib import Path

from skeattn.engine import SkeAttnRunner
from tests.engine.toy import toy_config

QUIET = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}


def resumed(folder: Path, source: Path, data: Path, epoch: int | str = 3, accept: tuple[str, ...] = (), **options):
    """A Runner that has resumed a copy of a run at the end of an epoch, and has trained on."""
    runner = ready(folder, source, data, epoch, accept, **options)
    runner.train()
    return runner


def ready(folder: Path, source: Path, data: Path, epoch: int | str = 3, accept: tuple[str, ...] = (), **options):
    (folder / 'run').mkdir(parents=True)
    shutil.copy(source / f'run/epoch_{epoch}.pth', folder / 'run')
    cfg = toy_config(folder, data=data, resume=True, **{**QUIET, **options})
    return SkeAttnRunner.from_cfg(cfg, resume_with_changes=accept)
