"""The files that a run leaves, read and compared; a Runner as hooks see it."""

import json
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor


def logged(run: Path) -> list[dict]:
    """Training lines of a run's curves, without what depends on the clock."""
    lines = [{k: v for k, v in line.items() if k not in ('time', 'data_time')} for line in curves(run)]
    return [line for line in lines if 'loss' in line]


def curves(run: Path) -> list[dict]:
    """Everything a run logged, in order."""
    files = sorted(run.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def assert_equal_state(one: dict, other: dict) -> None:
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert same(one[part], other[part]), f'{part} differs'


def same(a: object, b: object) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def fake_runner(iteration: int, max_iters: int, length: int, micro_batches: int = 1) -> SimpleNamespace:
    """What a hook reads of a Runner that is at an iteration."""
    wrapper = SimpleNamespace(_accumulative_counts=micro_batches)
    return SimpleNamespace(iter=iteration, max_iters=max_iters, train_dataloader=range(length), optim_wrapper=wrapper)
