"""What each of two processes trains of which the second stops to answer."""

import os
import time
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from skeattn.engine import contact
from skeattn.errors import ProcessError
from tests.engine.toy import toy_runner

TIMEOUT_S = 3


class Hang(Hook):
    """Sleeps in an iteration of the second process, or ends it."""

    def __init__(self, iteration: int, ends: bool) -> None:
        self.iteration, self.ends = iteration, ends

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.iteration and runner.rank == 1:
            if self.ends:
                os._exit(0)
            time.sleep(1000)


def main(folder: Path, data: Path, ends: bool) -> None:
    """Train; a process that is left alone writes how long it waited and what it says."""
    contact.ANSWER_S = TIMEOUT_S
    place = folder / f'rank{os.environ["RANK"]}'
    place.mkdir()
    runner = toy_runner(
        place, data=data, launcher='pytorch', evaluation=None, default_hooks__checkpoint__save_best=None,
        train_cfg__timeout=TIMEOUT_S, work_dir=str(folder / 'run'),
    )  # fmt: skip
    runner.register_hook(Hang(4, ends))
    try:
        runner.train()
    except ProcessError as error:
        (folder / 'error.txt').write_text(str(error))
        os._exit(1)
