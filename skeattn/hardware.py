"""What the processor is and can do, without importing torch."""

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


def _cpuinfo() -> str:
    try:
        return CPUINFO.read_text()
    except OSError:
        return ''
