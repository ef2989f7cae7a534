"""Data sets of runs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from skeattn.datasets import PackedSet
from skeattn.datasets.packed import convert_arguments, is_generated
from skeattn.errors import DataError, SkeAttnError
from skeattn.files import lock
from skeattn.toolbox import TOOLS


def prepare_data(folder: Path, report: Callable[[str], object] = print) -> None:
    """Check that a packed set exists and is intact; a synthetic set is generated if necessary.

    Args:
        folder: of the packed set.
        report: receives messages.

    Raises:
        DataError: the set is missing or damaged, and must be converted from its source.
        SkeAttnError: a synthetic set cannot be generated.
    """
    if not is_generated(folder):
        PackedSet.open(folder).verify()
    elif not _intact(folder):
        with lock(folder.parent / f'.{folder.name}.lock'):
            if not _intact(folder):  # still: no other process has generated it meanwhile
                report(f'generating {folder}')
                command = [sys.executable, str(TOOLS / 'convert.py'), *convert_arguments(folder), '--overwrite']
                if subprocess.run(command).returncode:
                    raise SkeAttnError(f'{folder} could not be generated; see the message above')
    report(f'{folder} is intact')


def _intact(folder: Path) -> bool:
    try:
        PackedSet.open(folder).verify()
    except DataError:
        return False
    return True
