"""What each process of the fine-tuning test runs; called alone it is the one-process reference.

In eval mode no clip's loss depends on who shares its process.
"""

import json
import os
from pathlib import Path

import torch
from mmengine.dist import is_main_process

from skeattn.engine.config import read_config, resolve_config
from skeattn.protocols.finetune import Finetune
from skeattn.protocols.target import EvalTarget

SETTINGS = {
    'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.05, 'momentum': 0.9}},
    'param_scheduler': {'type': 'ReduceOnPlateauLR', 'patience': 1, 'threshold': 0.02},
    'train_cfg': {'max_epochs': 4},
    'mode': 'eval',
    'interval': 2,
    'heldout': 0,
}


def main(folder: Path, name: str, batch_size: int) -> None:
    """Fine-tune what ``folder`` holds: a toy config with its set, and a checkpoint."""
    if 'RANK' in os.environ:
        torch.distributed.init_process_group('gloo')
    cfg = resolve_config(read_config(folder / 'toy.py'))
    subject = EvalTarget('finetune', cfg, folder / 'checkpoint.pth', 0, folder / name)
    outcome = Finetune(**SETTINGS, batch_size=batch_size).run(subject)
    if is_main_process():
        found = {'curves': outcome.curves, 'metrics': outcome.metrics, 'scores': outcome.test.scores.tolist()}
        (folder / f'{name}.json').write_text(json.dumps(found))
