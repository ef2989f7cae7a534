"""What a training prints: its settings before the first step, its results after the last."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from skeattn.checkpoint import find_newest
from skeattn.cli import as_argument
from skeattn.engine.config import resolve_config
from skeattn.engine.hooks.steps import bare_model
from skeattn.engine.resume import paper_vs_release
from skeattn.engine.runner import SkeAttnRunner
from skeattn.engine.speed import speed_choices


def how_to_continue(work_dir: str) -> str:
    """The end of the message of an interrupted training."""
    newest = find_newest(work_dir)
    if newest is None:
        return f'no checkpoint was written to {work_dir} yet; the same command starts again'
    return f'the same command with --resume continues from {newest}'


def summary(runner: SkeAttnRunner, config: str, options: Mapping[str, Any]) -> str:
    """The last line: places of all results, and the command that evaluates them.

    Args:
        runner: after its training.
        config: file of the training; ``options``: its overrides, without which others would be evaluated.
    """
    newest = find_newest(runner.work_dir)
    overrides = ['--cfg-options', *map(as_argument, options, options.values())] if options else []
    command = shlex.join(['skeattn', 'test', config, runner.work_dir, *overrides])
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
    switches = speed_choices(resolve_config(cfg, runner.world_size))
    shown = switches if next(model.parameters()).is_cuda else {'amp': switches['amp']}
    lines += ['switches of speed:', *columns(shown)]
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
    rows: dict[str, tuple[str, str]] = {}
    for group, members in groups.items():
        alike = len(members) > 1 and len(set(members.values())) == 1
        rows |= {group: next(iter(members.values()))} if alike else members
    return rows
