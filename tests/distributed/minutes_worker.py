"""What each of two processes trains whose clocks disagree on when a checkpoint is due."""

import os
from pathlib import Path

from skeattn.engine.hooks import SafeCheckpointHook
from tests.engine.toy import toy_runner

EPOCHS = 4


def main(folder: Path, data: Path) -> None:
    """By the clock of the first process epoch 3 is due, by that of the second every epoch."""
    rank = int(os.environ['RANK'])
    place = folder / f'rank{rank}'
    place.mkdir()
    runner = toy_runner(
        place, data=data, launcher='pytorch', train_cfg__max_epochs=EPOCHS, evaluation=None,
        default_hooks__checkpoint__save_best=None, default_hooks__checkpoint__minutes=3,
    )  # fmt: skip
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook))
    minutes = 1 + 9 * rank  # of an epoch
    hook.clock = lambda: 60 * minutes * runner.iter / len(runner.train_dataloader)
    save, written = runner.save_checkpoint, []
    runner.save_checkpoint = lambda out, name, **options: (written.append(name), save(out, name, **options))
    runner.train()
    (folder / f'{rank}.txt').write_text(' '.join(written))
