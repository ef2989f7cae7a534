"""Sections around the training: conversion of raw files, start of a process."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from skeattn import toolbox
from skeattn.benchmark.reference.files import convert_line_by_line
from skeattn.benchmark.rounds import Group, Variant
from skeattn.benchmark.setting import Setting
from skeattn.datasets.converters import ntu
from skeattn.datasets.synthetic import generate, write_skeleton_file

Convert = Callable[[Path, Path], None]


def conversion(setting: Setting) -> Iterator[Group]:
    """Raw NTU files to a packed set; benchmark_ntu.py measures more of them, from the disk, on several processes."""
    with tempfile.TemporaryDirectory(prefix='benchmark_') as folder:
        raw = Path(folder)
        for clip in generate(0, setting.files):
            write_skeleton_file(raw / f'{clip.name}.skeleton', clip.keypoint)
        size = sum(file.stat().st_size for file in raw.iterdir())
        ways: dict[str, Convert] = {'reference, line by line': convert_line_by_line}
        ways['ours'] = partial(ntu.convert, dataset='ntu60', jobs=1)
        runs = {name: partial(_into_a_new_folder, convert, raw) for name, convert in ways.items()}
        variants = [Variant(name, run, setting.files, size, counted=False) for name, run in runs.items()]
        yield Group(f'{setting.files} raw files', variants, unit='files')


def startup(setting: Setting) -> Iterator[Group]:
    """A new process up to its first line of work."""
    python, tools = sys.executable, toolbox.TOOLS
    commands = {
        'import torch': [python, '-c', 'import torch'],
        'import skeattn': [python, '-c', 'import skeattn'],
    }
    if not setting.small:
        commands['import skeattn.apis'] = [python, '-c', 'import skeattn.apis']
        commands['train.py --help'] = [python, str(tools / 'train.py'), '--help']
    variants = [Variant(name, partial(_run, command), 1, counted=False) for name, command in commands.items()]
    yield Group('a new process', variants, unit='starts')


def _into_a_new_folder(convert: Convert, raw: Path) -> None:
    with tempfile.TemporaryDirectory(prefix='benchmark_') as out:
        convert(raw, Path(out) / 'packed')


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
