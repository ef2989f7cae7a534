"""Measurements in a process of their own: ``python -m skeattn.benchmark.measure profile FILE cuda [--tiny]``."""

import argparse
import statistics
from typing import Any

import torch

from skeattn.benchmark.ceilings import ceilings
from skeattn.benchmark.epoch import measure_epoch
from skeattn.benchmark.floor import floor, operations_of
from skeattn.benchmark.kernels import profiled, summary
from skeattn.benchmark.rounds import Clock
from skeattn.benchmark.setting import CONFIGS, TINY, Setting
from skeattn.benchmark.training import of_config
from skeattn.engine.speed import computes_in_bfloat16
from skeattn.files import write_json


def measure_profile(device: str, tiny: bool) -> dict[str, Any]:
    """The training step of SkeAttnCLR beside its floor, and on CUDA what the GPU does meanwhile.

    Returns:
        ``config``, ``batch``, ``precision``, ``step_ms`` (median), ``ceilings``, the values of
        :func:`~skeattn.benchmark.floor.floor`, ``times_floor``, and ``gpu``: the values of
        :func:`~skeattn.benchmark.kernels.summary`, None on a CPU, empty where the profiler sees no kernels.
    """
    setting = Setting(device=device, **(TINY if tiny else {'batch': 128}))
    sizes = (8192, 2**32) if device == 'cuda' and not tiny else (setting.matrix, setting.copied)
    name = 'skeattnclr/stgcn_demo' if tiny else 'skeattnclr/stgcn_ntu60_xsub'
    precision = 'bfloat16' if device == 'cuda' and computes_in_bfloat16() else 'float32'
    group = of_config(str(CONFIGS / f'{name}.py'), setting)
    run = next(variant.run for variant in group.variants if variant.name == f'step, {precision}')
    calls, clock = 2 if tiny else 10, Clock(device)
    for _ in range(1 if tiny else 5):
        run()
    times = [clock.seconds(run) for _ in range(calls)]
    limits = ceilings(clock, *sizes)
    found = floor(operations_of(run, torch.device(device).type), limits)
    step_ms = 1000 * statistics.median(times)
    kernels = profiled(run, calls) if device == 'cuda' else None
    gpu = None if kernels is None else summary(kernels, calls) if kernels else {}
    facts = {'config': name, 'batch': setting.batch, 'precision': precision, 'step_ms': step_ms, 'ceilings': limits}
    return {**facts, **found, 'times_floor': step_ms / found['floor_ms'], 'gpu': gpu}


MEASUREMENTS = {'profile': measure_profile, 'epoch': measure_epoch}


def main() -> None:
    """Measure and write the result."""
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument('what', choices=MEASUREMENTS)
    top.add_argument('out')
    top.add_argument('device', choices=('cuda', 'cpu'))
    top.add_argument('--tiny', action='store_true')
    args = top.parse_args()
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True  # as in the configs
    write_json(args.out, MEASUREMENTS[args.what](args.device, args.tiny))


if __name__ == '__main__':
    main()
