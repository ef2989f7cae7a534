"""What the machine computes on; nothing here imports torch before it has to."""

import platform
import re
from pathlib import Path

CPUINFO = Path('/proc/cpuinfo')


def cpu_name() -> str:
    """The processor's model, or its architecture where the system does not tell."""
    found = re.search(r'^model name\s*:\s*(.+?)\s*$', _cpuinfo(), re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def cpu_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 (AVX-512 BF16, AMX, Arm BF16), as far as Linux tells.

    Without them torch emulates bfloat16, which takes several times as long as single precision.
    """
    return bool(re.search(r'\b(amx_bf16|avx512_bf16|bf16)\b', _cpuinfo()))


def default_device() -> str:
    """Where trainings and evaluations run: ``'cuda'`` where torch has a GPU, NVIDIA's or AMD's, otherwise ``'cpu'``.

    Apple's GPUs are left alone: they have no float64, and no step has been compared on them.
    """
    import torch

    return 'cuda' if torch.cuda.is_available() else 'cpu'


def _cpuinfo() -> str:
    try:
        return CPUINFO.read_text()
    except OSError:
        return ''
