"""What each of two processes trains when a signal reaches only the second."""

import os
from pathlib import Path

import torch

from skeattn.errors import Interrupted
from tests.engine.toy import toy_runner
from tests.faults.signal_hook import SignalHook  # noqa: F401 (registered)


def main(folder: Path, data: Path) -> None:
    """Train until the signal, note its number, and resume."""
    rank = int(os.environ['RANK'])
    place = folder / f'rank{rank}'
    place.mkdir()
    options = {'data': data, 'launcher': 'pytorch', 'evaluation': None, 'default_hooks__checkpoint__save_best': None}
    lines = "custom_hooks = [dict(type='SignalHook', number='SIGTERM', iteration=4, rank=1)]\n"
    try:
        toy_runner(place, lines=lines, **options, work_dir=str(folder / 'run')).train()
    except Interrupted as interrupt:
        (folder / f'{rank}.txt').write_text(str(interrupt.number))
    torch.distributed.barrier()
    toy_runner(place, **options, resume=True, work_dir=str(folder / 'run')).train()
