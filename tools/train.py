"""Pre-train an encoder: ``python tools/train.py CONFIG``.

Logs, checkpoints and the config are written to the work_dir, by default ``work_dirs/<method>/<config>``. The same
command gives the same numbers again, bit for bit on the CPU; ``--resume`` continues a stopped run with the same result.
A config that differs from the checkpoint's is refused unless ``--resume-with-changes`` lists the keys that may differ.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description='Pre-train an encoder.')
    top.add_argument('config', help='config file')
    top.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/<method>/<config>)')
    top.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue from a checkpoint; without a path, from the newest intact one of the work_dir',
    )
    top.add_argument(
        '--resume-with-changes',
        nargs='+',
        default=[],
        metavar='KEY',
        help='resume although these settings differ from those of the checkpoint, which then holds for the rest of the '
        'run: optim_wrapper.optimizer.lr batch_size',
    )
    top.add_argument('--seed', type=int, help='seed of all random draws (default: the config, 0)')
    top.add_argument('--amp', action='store_true', help='forward pass in bfloat16')
    top.add_argument(
        '--cfg-options',
        nargs='+',
        action=cli.KeyValue,
        default={},
        help='override settings: stream=bone batch_size=64 train_cfg.max_epochs=100; max_iters=2 stops early',
    )
    top.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    top.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process

from skeattn.checkpoint import find_newest
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config
from skeattn.engine.hooks.steps import bare_model
from skeattn.engine.resume import paper_vs_release
from skeattn.engine.speed import speed_choices
from skeattn.engine.work_dir import default_work_dir, failed_start_removed
from skeattn.errors import Interrupted, number_of


def main() -> None:
    args = parser().parse_args()
    cfg = read_config(args.config, args.cfg_options)
    cfg.work_dir = args.work_dir or cfg.get('work_dir')
    cfg.launcher = args.launcher
    if args.seed is not None:
        cfg.seed = args.seed
    if args.amp:
        cfg.amp = True
    start_from = cfg.get('load_from')
    if args.resume or args.resume_with_changes:
        cfg.resume = True
        cfg.load_from = None if args.resume in (None, 'auto') else args.resume
    with failed_start_removed(Path(cfg.work_dir or default_work_dir(args.config))):
        runner = SkeAttnRunner.from_cfg(cfg, args.resume_with_changes, start_from)
        runner.logger.info(describe(runner))
        try:
            runner.train()
        except KeyboardInterrupt as interrupt:
            raise Interrupted(how_to_continue(runner.work_dir), number_of(interrupt)) from None
    if is_main_process():
        print(summary(runner, args.config))


def how_to_continue(work_dir: str) -> str:
    """The end of the message of an interrupted training."""
    newest = find_newest(work_dir)
    if newest is None:
        return f'no checkpoint was written to {work_dir} yet; the same command starts again'
    return f'the same command with --resume continues from {newest}'


def summary(runner: SkeAttnRunner, config: str) -> str:
    """The last line: places of all results, and the command that evaluates them."""
    newest = find_newest(runner.work_dir)
    command = shlex.join(['python', 'tools/test.py', config, runner.work_dir])
    return f'trained: {newest or "no checkpoint"}; config, log and curves: {runner.work_dir}; evaluate: {command}'


def describe(runner: SkeAttnRunner) -> str:
    """Summary of a run: its settings, its choices between paper and release, and its folders."""
    cfg, model = runner.cfg, bare_model(runner)
    share = f' ({cfg.batch_size // runner.world_size} in each of {runner.world_size} processes)'
    lines = [
        f'{type(model).__name__}: stream {cfg.stream}, layout {runner.layout}, '
        f'batch size {cfg.batch_size}{share if runner.world_size > 1 else ""}, seed {runner.seed}'
    ]
    choices = together(paper_vs_release(model))
    lines += ['where paper and release differ:', *columns(choices)] if choices else []
    if next(model.parameters()).is_cuda:
        lines += ['switches of speed:', *columns(speed_choices(cfg))]
    lines += [f'log, checkpoints and config: {runner.work_dir}', f'curves: {runner.log_dir}/vis_data']
    return '\n'.join(lines)


def columns(choices: Mapping[str, tuple[Any, str]]) -> list[str]:
    """Lines with a column of names, of values and of what they mean."""
    rows = [(name, str(value), meaning) for name, (value, meaning) in choices.items()]
    wide, wider = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    return [f'  {name:<{wide}}  {value:<{wider}}  {meaning}' for name, value, meaning in rows]


def together(choices: Mapping[str, tuple[Any, str]]) -> dict[str, tuple[str, str]]:
    """The choices as text; a choice that all operations of a view share is a single row, ``views.key.*.per``."""
    groups: dict[str, dict[str, tuple[str, str]]] = {}
    for name, (value, origin) in choices.items():
        groups.setdefault(re.sub(r'^(views\.[^.]+)\.[^.]+\.', r'\1.*.', name), {})[name] = (str(value), origin)
    rows = {}
    for group, members in groups.items():
        alike = len(members) > 1 and len(set(members.values())) == 1
        rows |= {group: next(iter(members.values()))} if alike else members
    return rows


if __name__ == '__main__':
    cli.run(main)
