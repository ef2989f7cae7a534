"""What each of two processes trains on a set in which one clip is infinite."""

import os
from pathlib import Path

import torch

from skeattn.engine.hooks.non_finite import SKIPPED
from skeattn.engine.hooks.steps import bare_model
from tests.engine.toy import toy_runner


def main(folder: Path, data: Path) -> None:
    """Train, and leave the skipped iterations and the weights of this process."""
    rank = os.environ['RANK']
    place = folder / f'rank{rank}'
    place.mkdir()
    runner = toy_runner(
        place, data=data, launcher='pytorch', evaluation=None, default_hooks__checkpoint__save_best=None,
        default_hooks__non_finite__skip=3, work_dir=str(folder / 'run'),
    )  # fmt: skip
    runner.train_dataloader.dataset.clips[11, 0, 3] = float('inf')
    runner.train()
    facts = {'skipped': runner.message_hub.get_info(SKIPPED), 'weights': dict(bare_model(runner).named_parameters())}
    torch.save({**facts, 'queue': bare_model(runner).queue.keys}, folder / f'{rank}.pt')
