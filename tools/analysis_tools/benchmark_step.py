"""Time the parts of a training step and their alternatives.

    python tools/analysis_tools/benchmark_step.py configs/skeattnclr/stgcn_nwucla_xview.py --frames 32

The alternatives run in turn, for several rounds. Prints medians, quartiles, and the ratio of medians to the first row.
Machines are noisy: only the ratios within one run are reliable.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description='Benchmark a training step of a config on random clips.')
    top.add_argument('config')
    top.add_argument('--frames', type=int, default=64)
    top.add_argument('--persons', type=int, default=1)
    top.add_argument('--batch', type=int, default=32)
    top.add_argument('--rounds', type=int, default=7)
    top.add_argument('--threads', type=int, default=1)
    top.add_argument('--device')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from tabulate import tabulate
from torch import nn

from skeattn.datasets.native import at_full_length
from skeattn.engine.config import read_config, resolve_config
from skeattn.models.dropout import Dropout
from skeattn.models.queue import queues_of
from skeattn.registry import MODELS
from skeattn.skeletons import get_layout


def main() -> None:
    args = parser().parse_args()
    args.device = cli.device_or_best(args.device)
    torch.set_num_threads(args.threads)

    cfg = resolve_config(read_config(args.config, {}))
    shape = (args.batch, 3, args.frames, get_layout(cfg.layout).num_joints, args.persons)
    clips = torch.randn(shape, device=args.device)
    model = MODELS.build(cfg.model).to(args.device).train()
    slow_dropout = MODELS.build(cfg.model).to(args.device).train()
    for module in slow_dropout.modules():
        for name, child in module.named_children():
            if isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.p))
    rows = {
        'step, float32': step(model, clips, autocast=False),
        'step, bfloat16 autocast': step(model, clips, autocast=True),
        'step, bfloat16, nn.Dropout': step(slow_dropout, clips, autocast=True),
        'views alone': lambda: views(model, clips),
        'features of the clips (evaluation)': lambda: features(model, clips),
    }
    print(f'{cfg.model.type}, clips {shape}, {args.device}, {args.threads} threads, torch {torch.__version__}, '
          f'{platform.machine()}')  # fmt: skip
    print(tabulate(measure(rows, args.rounds, args.device), headers=('', 'ms', 'quartiles', 'ratio to first')))


def step(model: nn.Module, clips: torch.Tensor, autocast: bool) -> Callable[[], None]:
    """One optimiser step with the updates of key encoder and queue."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.01, momentum=0.9)

    def run() -> None:
        inputs = views(model, clips)
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=autocast):
            loss = model(inputs, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if hasattr(model, 'update_key_encoder'):
            model.update_key_encoder(0.99, buffers=True)
        for queue in queues_of(model):
            queue.flush()

    return run


def views(model: nn.Module, clips: torch.Tensor) -> dict[str, torch.Tensor]:
    """The training views of a batch."""
    model.data_preprocessor.begin_iteration(0, 0)
    return model.data_preprocessor(at_full_length({'inputs': clips}), training=True)['inputs']


@torch.no_grad()
def features(model: nn.Module, clips: torch.Tensor) -> None:
    """Pooled features in evaluation mode."""
    model.eval()
    model.features({'inputs': clips})
    model.train()


def measure(rows: dict[str, Callable[[], object]], rounds: int, device: str) -> list[tuple[str, ...]]:
    """Times of the alternatives, run in turn; the first round is a warm-up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in rows}
    for i in range(rounds + 1):
        for name, run in rows.items():
            start = time.perf_counter()
            run()
            if device == 'cuda':
                torch.cuda.synchronize()
            if i:
                times[name].append(1000 * (time.perf_counter() - start))
    first = np.median(next(iter(times.values())))
    table = []
    for name, taken in times.items():
        low, middle, high = np.percentile(taken, (25, 50, 75))
        table.append((name, f'{middle:.1f}', f'{low:.1f} to {high:.1f}', f'{middle / first:.2f}'))
    return table


if __name__ == '__main__':
    cli.run(main)
