"""Data sets of runs."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skeattn.datasets import PackedSet
from skeattn.datasets.packed import MANIFEST, convert_arguments, is_generated
from skeattn.datasets.union import folders_of
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
        _generate(folder, report)
    report(f'{folder} is intact')


def generate_missing(data: Any) -> None:
    """Generate the synthetic sets of ``dataset.data`` that do not exist; other sets are left to their reader.

    Raises:
        SkeAttnError: a set cannot be generated.
    """
    for folder in folders_of(data) if isinstance(data, str | os.PathLike | list | tuple) else ():
        if is_generated(folder) and not (folder / MANIFEST).exists():
            _generate(folder, print)


def _generate(folder: Path, report: Callable[[str], object]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.parent / f'.{folder.name}.lock'):
        if _intact(folder):  # another process has generated it meanwhile
            return
        report(f'generating {folder}')
        command = [sys.executable, str(TOOLS / 'convert.py'), *convert_arguments(folder), '--overwrite']
        if subprocess.run(command).returncode:
            raise SkeAttnError(f'{folder} could not be generated; see the message above')


def _intact(folder: Path) -> bool:
    try:
        PackedSet.open(folder).verify()
    except DataError:
        return False
    return True
