"""Time and peak memory of the probe at the size of NTU RGB+D 60: python tools/analysis_tools/benchmark_probe.py

Features are random: class centres in a space of a tenth of the dimensions, rotated into all of them, with noise. By
default they have the size of the readout ``joints``, 25 joints of 256 values. The probe runs in a fresh process; the
time includes the choice of the penalty.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('--bank', type=int, default=40_091, help='training clips (40,091, NTU RGB+D 60 xsub)')
    top.add_argument('--queries', type=int, default=16_487, help='test clips (16,487)')
    top.add_argument('--dim', type=int, default=6400, help='of the features (6400)')
    top.add_argument('--threads', type=int, default=2)
    top.add_argument('--out', metavar='FILE', help='also write a JSON record')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import time

import torch
from tabulate import tabulate

from skeattn.errors import ConfigError
from skeattn.evaluation import Features, RidgeProbe
from skeattn.files import write_json
from skeattn.measure import measure
from skeattn.results.provenance import environment

CLASSES, SUBJECTS = 60, 20
SPREAD, NOISE = 8.0, 1.0


def features(clips: int, dim: int, seed: int) -> Features:
    """Random features of low rank and noise, whose classes and directions do not depend on the seed."""
    fixed, generator = torch.Generator().manual_seed(7), torch.Generator().manual_seed(seed)
    rank = max(1, dim // 10)
    centres, directions = torch.randn(CLASSES, rank, generator=fixed), torch.randn(rank, dim, generator=fixed)
    labels = torch.randint(CLASSES, (clips,), generator=generator)
    x = torch.empty(clips, dim)
    for part in torch.arange(clips).split(4096):
        inner = torch.randn(len(part), rank, generator=generator).mul_(SPREAD).add_(centres[labels[part]])
        noise = torch.randn(len(part), dim, generator=generator).mul_(NOISE * rank**0.5)
        x[part] = noise.addmm_(inner, directions)
    subjects = torch.arange(clips) % SUBJECTS
    return Features(x, labels, subjects, [str(clip) for clip in range(clips)])


def features_alone(bank: Features, test: Features) -> dict[str, float]:
    """No probe: the memory of the features and the libraries."""
    return {}


def run(probe: bool, clips: int, queries: int, dim: int, threads: int) -> tuple[float, float, dict[str, float]]:
    """(seconds, seconds of all cores, metrics) of the probe alone."""
    torch.set_num_threads(threads)
    bank, test = features(clips, dim, 0), features(queries, dim, 1)
    evaluate = RidgeProbe(device='cpu') if probe else features_alone
    start, cpu = time.perf_counter(), time.process_time()
    metrics = evaluate(bank, test)
    return time.perf_counter() - start, time.process_time() - cpu, metrics


def main() -> None:
    args = parser().parse_args()
    for option in ('bank', 'queries', 'dim', 'threads'):
        if getattr(args, option) < 2 - (option == 'threads'):
            raise ConfigError(f'--{option} {getattr(args, option)} is too small')
    runs = []
    for name, probe in (('features alone', False), ('probe', True)):
        one = measure(run, probe, args.bank, args.queries, args.dim, args.threads)
        seconds, cpu_seconds, metrics = one['result']
        runs.append({'name': name, 'seconds': seconds, 'cpu_seconds': cpu_seconds, 'peak_bytes': one['peak_bytes'],
                     'metrics': metrics})  # fmt: skip
    base = runs[0]['peak_bytes']
    rows = [
        (
            one['name'],
            f'{one["seconds"]:.1f}',
            f'{one["cpu_seconds"]:.1f}',
            f'{one["peak_bytes"] / 1e6:.0f}',
            f'{max(0, one["peak_bytes"] - base) / 1e6:.0f}',
            f'{one["metrics"]["top1"]:.1f}' if one['metrics'] else '',
        )
        for one in runs
    ]
    facts = environment()
    print(f'{args.bank:,} training and {args.queries:,} test clips of {args.dim} values, {args.threads} threads, '
          f'{facts["hardware"]}, torch {torch.__version__}')  # fmt: skip
    print(tabulate(rows, ('', 'seconds', 'CPU seconds', 'peak MB', 'of it probe', 'top-1'), disable_numparse=True,
                   colalign=('left', *['right'] * 5)))  # fmt: skip
    if args.out:
        write_json(args.out, {'bank': args.bank, 'queries': args.queries, 'dim': args.dim, 'threads': args.threads,
                              'runs': runs, **facts})  # fmt: skip
        print(f'wrote {args.out}')


if __name__ == '__main__':
    cli.run(main)
