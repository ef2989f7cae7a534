"""A result that can be traced: what was run, on what, with which versions."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
import torch

import skeattn
from skeattn.engine.checkpoint import write_text


def environment() -> dict[str, Any]:
    """Versions and hardware, without the machine's name."""
    versions = {'python': platform.python_version(), 'numpy': np.__version__, 'torch': torch.__version__}
    versions |= {'mmengine': mmengine.__version__, 'skeattn': skeattn.__version__}
    return {'versions': versions, 'hardware': hardware(), 'threads': torch.get_num_threads()}


def hardware() -> str:
    """The processor, and the accelerator if there is one."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        cpu = next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        pass
    found = f'{os.cpu_count()} x {cpu}'
    if torch.cuda.is_available():
        found += f', {torch.cuda.device_count()} x {torch.cuda.get_device_name()}'
    return found


def sha256(path: str | os.PathLike[str]) -> str:
    """Digest of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_json(path: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Write a record as readable JSON, all or nothing."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(record, indent=2) + '\n')
