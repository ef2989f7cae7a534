"""Speed of the toolbox beside a reference in the style of the released code, and beside what the machine can do.

    python tools/analysis_tools/benchmark.py
    python tools/analysis_tools/benchmark.py steps extraction --width 16 --rounds 7 --out work_dirs/speed.json
    python tools/analysis_tools/benchmark.py --config configs/skeattnclr/stgcn_nwucla_xview.py

Alternatives run in turn within one process; only the ratios within a run hold on other machines. docs/performance.md
explains the columns and has tables. No data set is needed: clips are random.
"""

import argparse

from skeattn import cli
from skeattn.choices import BENCHMARKS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('sections', nargs='*', metavar='SECTION', help=f'of {", ".join(BENCHMARKS)} (all)')
    top.add_argument('--config', help='measure the training step of a config as well; without sections it alone')
    top.add_argument('--rounds', type=int, default=5, help='timed calls of every alternative (5)')
    top.add_argument('--batch', type=int, help='clips of a training step (8)')
    top.add_argument('--frames', type=int, help='T (64)')
    top.add_argument('--persons', type=int, help='of the clips of --config (those that it packs)')
    top.add_argument('--width', type=int, nargs='+', help='base widths of ST-GCN (16 64)')
    top.add_argument('--bank', type=int, help='clips of the bank of KNN and probes (10000)')
    top.add_argument('--threads', type=int, default=1, help='of torch (1); with more, times are on the wall')
    top.add_argument('--device')
    top.add_argument('--tiny', action='store_true', help='smallest sizes, to try the tool; the times say nothing')
    top.add_argument('--out', metavar='FILE', help='also write a JSON record')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import dataclasses
from typing import Any

import torch

from skeattn.benchmark.report import SECTIONS, run
from skeattn.benchmark.setting import TINY, Setting
from skeattn.benchmark.training import of_config
from skeattn.errors import ConfigError
from skeattn.files import write_json


def main() -> None:
    args = parser().parse_args()
    for option in ('rounds', 'threads'):
        if getattr(args, option) < 1:
            raise ConfigError(f'--{option} {getattr(args, option)} is too small; give at least 1')
    device = cli.device_or_best(args.device)
    torch.set_num_threads(args.threads)
    unknown = sorted(set(args.sections) - SECTIONS.keys())
    if unknown:
        raise ConfigError(f'section {unknown[0]!r} is unknown; choose from {", ".join(SECTIONS)}')
    setting = setting_of(args, device)
    sections = args.sections or ([] if args.config else list(SECTIONS))
    extra = [of_config(args.config, setting, args.persons)] if args.config else []
    record = run(sections, setting, args.rounds, extra=extra)
    if args.out:
        write_json(args.out, record)
        print(f'wrote {args.out}')


def setting_of(args: argparse.Namespace, device: str) -> Setting:
    """The sizes that the options name, the defaults otherwise."""
    named = {'batch': args.batch, 'frames': args.frames, 'widths': tuple(args.width or ()), 'bank': args.bank}
    changes: dict[str, Any] = (TINY if args.tiny else {}) | {key: value for key, value in named.items() if value}
    if device.startswith('cuda') and not args.tiny:
        changes |= {'matrix': 8192, 'copied': 2**32}
    setting = Setting(device=device, **changes)
    for field in dataclasses.fields(setting):
        value = getattr(setting, field.name)
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise ConfigError(f'--{field.name} {value} is too small; give at least 1')
    if setting.batch < 3 or setting.frames < 8 or setting.queue % setting.batch:
        raise ConfigError(
            f'--batch {setting.batch} --frames {setting.frames}: the reference needs at least 3 clips of at least 8 '
            f'frames, and a batch that divides the queue of {setting.queue} keys'
        )
    return setting


if __name__ == '__main__':
    cli.run(main)
