"""Report what skeattn finds on this machine, and what to do about what is missing.

A line begins with ok, note or MISSING; what is missing makes the exit status 1. Run it in the folder of your work:
``data/`` and ``work_dirs/`` are looked for there.
"""

import argparse
import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from skeattn import __version__, cli, toolbox
from skeattn.hardware import cpu_bfloat16

PYTHON = '>=3.10,<3.14'
REQUIRED = {
    'torch': '>=2.4,<2.14',
    'mmengine': '>=0.10.7,<0.11',
    'numpy': '>=1.26',
    'scipy': '>=1.11.1',
    'tabulate': '>=0.9',
    'pydantic': '>=2.7,<3',
    'safetensors': '>=0.4.3',
}
"""Distribution -> its supported versions, as in pyproject.toml."""
OPTIONAL = {
    'vis': (
        'pictures: curves, maps, confusion, clips',
        {'matplotlib': '>=3.8', 'pillow': '>=10', 'scikit-learn': '>=1.4'},
    ),
    'tensorboard': ('curves of a training in TensorBoard', {'tensorboard': '>=2.16'}),
    'export': (
        'networks as ONNX',
        {'onnx': '>=1.16', 'onnxscript': '>=0.2', 'onnxruntime': '>=1.18'},
    ),
    'c3d': ('motion capture files, C3D', {'c3d': '>=0.6'}),
    'hub': ('published encoders of the Hugging Face hub', {'huggingface-hub': '>=0.23'}),
    'sleap': ('files of SLEAP', {'h5py': '>=3.8'}),
    'completion': ('completion of commands in the shell', {'argcomplete': '>=3.1'}),
}
"""Extra -> its purpose, and its distributions with their supported versions."""
MMCV = ('mmcv-lite', 'mmcv')
OK, NOTE, MISSING = 'ok', 'note', 'MISSING'
ENOUGH_GB = 5.0
"""Free space below which a training of a large set can fill the disk."""


class Finding(NamedTuple):
    """A line of the report: its state, what was found, and what to do."""

    state: str
    text: str
    cure: str = ''

    def __str__(self) -> str:
        return f'{self.state:<7}  {self.text}' + (f'; {self.cure}' if self.cure else '')


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(__doc__, 'skeattn doctor', 'skeattn doctor --problems')
    top.add_argument('--problems', action='store_true', help='only the lines that are not ok')
    return top


def main(args: argparse.Namespace) -> int:
    """Print the findings; returns 1 if something required is missing."""
    found = list(findings())
    for finding in found:
        if finding.state != OK or not args.problems:
            print(finding)
    return int(any(finding.state == MISSING for finding in found))


def findings() -> Iterator[Finding]:
    """All findings."""
    yield Finding(OK, f'skeattn {__version__} in {toolbox.PACKAGE}')
    python = platform.python_version()
    cure = '' if fits(python, PYTHON) else f'use a Python {PYTHON}'
    yield Finding(MISSING if cure else OK, f'Python {python} on {platform.system()} {platform.machine()}', cure)
    for name, supported in REQUIRED.items():
        yield distribution(name, supported, MISSING, f'pip install "{name}{supported}"')
    yield mmcv()
    for extra, (purpose, names) in OPTIONAL.items():
        for name, supported in names.items():
            yield distribution(name, supported, NOTE, f'for {purpose}: pip install "skeattn[{extra}]"')
    yield from devices()
    yield processors()
    yield from folders()
    yield configs()


def installed(name: str) -> str | None:
    """The version of a distribution; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def fits(found: str, supported: str) -> bool:
    """Whether a version lies in a range such as ``>=2.4,<2.14``."""

    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.findall(r'\d+', re.split(r'[+a-z]', text)[0])]

    bounds = [re.fullmatch(r'(>=|<)([\d.]+)', bound) for bound in supported.split(',')]
    return all((numbers(found) >= numbers(b[2])) == (b[1] == '>=') for b in bounds if b)


def distribution(name: str, supported: str, state: str, cure: str) -> Finding:
    """Whether a distribution is installed in a supported version."""
    found = installed(name)
    if found is None:
        return Finding(state, f'{name} is not installed', cure)
    if not fits(found, supported):
        return Finding(state, f'{name} {found} is outside {supported}', cure)
    return Finding(OK, f'{name} {found}')


def mmcv() -> Finding:
    """One of mmcv-lite and mmcv has to be installed, and to load."""
    found = {name: number for name in MMCV if (number := installed(name))}
    text = ' and '.join(f'{name} {number}' for name, number in found.items())
    if not found:
        return Finding(MISSING, 'neither mmcv-lite nor mmcv is installed', 'pip install mmcv-lite')
    if len(found) > 1:
        cure = 'pip uninstall mmcv mmcv-lite, then install one of them: pip install mmcv-lite'
        return Finding(MISSING, f'{text} are both installed, one over the other', cure)
    try:
        import mmcv  # noqa: F401
    except Exception as error:  # a library of the system can be missing
        cure = 'pip uninstall opencv-python; pip install opencv-python-headless' if 'lib' in str(error) else ''
        return Finding(MISSING, f'{text} cannot be imported: {error}', cure)
    return Finding(OK, text)


def devices() -> Iterator[Finding]:
    """The accelerators that torch can use, and whether they and the processor compute in bfloat16."""
    try:
        import torch
    except Exception as error:  # whatever a broken installation raises
        if installed('torch'):
            yield Finding(MISSING, f'torch cannot be imported: {error}', 'install torch again')
        return
    for i in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(i)
        fast = 'bfloat16' if torch.cuda.is_bf16_supported() else 'no bfloat16'
        yield Finding(OK, f'cuda:{i} {facts.name}, {facts.total_memory / 2**30:.0f} GiB, {fast}')
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        cure = f'torch is built for {built}; check the driver with nvidia-smi' if built else ''
        yield Finding(NOTE, 'no accelerator; trainings run on the CPU', cure)
        if cpu_bfloat16():
            yield Finding(OK, 'the processor computes in bfloat16: --amp is about twice as fast')
        else:
            yield Finding(NOTE, 'the processor has no instructions for bfloat16: --amp is about 5 times slower')


def processors() -> Finding:
    """Cores that this process may use, and threads that it will use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    threads = os.environ.get('OMP_NUM_THREADS', '').partition(',')[0]
    text = f'{cores} of {os.cpu_count()} cores; '
    if not threads.isdigit():
        return Finding(OK, f'{text}one thread per core')
    cure = f'unset OMP_NUM_THREADS, or set it to at most {cores}' if int(threads) > cores else ''
    return Finding(NOTE if cure else OK, f'{text}{threads} threads by OMP_NUM_THREADS', cure)


def folders() -> Iterator[Finding]:
    """Free space of the folders of results and data, and the packed sets that are there."""
    for name in ('work_dirs', 'data'):
        path = Path(name).absolute()
        existing = next(folder for folder in (path, *path.parents) if folder.exists())
        free = shutil.disk_usage(existing).free / 1e9
        text = f'{path}: {free:.1f} GB free' + ('' if path.exists() else ', not there yet')
        if not os.access(existing, os.W_OK):
            yield Finding(NOTE, f'{text}, not writable', 'run in a folder that you can write')
        else:
            cure = 'free some space before a long training' if free < ENOUGH_GB else ''
            yield Finding(NOTE if cure else OK, text, cure)
    sets = sorted(path.parent.name for path in Path('data').glob('*/manifest.json'))
    cure = '' if sets else 'make one: skeattn convert synthetic --out data/demo'
    yield Finding(OK if sets else NOTE, f'packed sets in data/: {", ".join(sets) or "none"}', cure)


def configs() -> Finding:
    """Whether the configs of the toolbox are found."""
    number = len(list(toolbox.CONFIGS.glob(toolbox.TRAININGS)))
    if not number or not toolbox.TOOLS.is_dir():
        return Finding(MISSING, f'no configs and tools in {toolbox.ROOT}', 'install skeattn again, from its checkout')
    return Finding(OK, f'{number} configs in {toolbox.CONFIGS}')
