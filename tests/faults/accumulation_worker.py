"""What each process of the test trains: ``worker.py FOLDER DATA start|resume``, three batches an epoch, steps of 2."""

import os
import sys
from pathlib import Path

import torch

from skeattn import cli
from skeattn.engine import SkeAttnRunner
from tests.engine.toy import toy_config


def main(folder: Path, data: Path, resume: bool) -> None:
    torch.set_num_threads(1)
    place = folder / f'rank{os.environ.get("RANK", 0)}'
    place.mkdir(parents=True, exist_ok=True)
    cfg = toy_config(
        place, data=data, evaluation=None, default_hooks__checkpoint__save_best=None,
        optim_wrapper__accumulative_counts=2, resume=resume,
    )  # fmt: skip
    cfg.work_dir, cfg.launcher = str(folder / 'run'), 'pytorch' if 'RANK' in os.environ else 'none'
    SkeAttnRunner.from_cfg(cfg).train()


if __name__ == '__main__':
    cli.run(lambda: main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == 'resume'))
