"""The curves of a run that was resumed."""

import json
from pathlib import Path


def write_log(work_dir: Path, stamp: str, lines: list[dict]) -> None:
    folder = work_dir / stamp / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))


def train_line(epoch: int, iteration: int, loss: float) -> dict:
    return {'lr': 0.1, 'loss': loss, 'L_s': loss / 2, 'time': 1.0, 'epoch': epoch, 'iter': iteration, 'step': iteration}


def write_resumed_run(work_dir: Path) -> Path:
    """Four iterations an epoch; resumed from epoch 1, which repeats the second epoch."""
    first = [train_line(1, 2, 9.0), train_line(1, 4, 8.0), {'knn/top1_k1': 30.0, 'step': 1}, train_line(2, 6, 99.0)]
    write_log(work_dir, '20260101_000000', [*first, {'knn/top1_k1': 99.0, 'step': 2}])
    again = [train_line(2, 6, 7.0), train_line(2, 8, 6.0), {'knn/top1_k1': 40.0, 'linear/top1': 50.0, 'step': 2}]
    write_log(work_dir, '20260102_000000', again)
    return work_dir
