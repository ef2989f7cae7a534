"""Data sets that a run needs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from skeattn.datasets import PackedSet
from skeattn.datasets.packed import convert_arguments, is_generated
from skeattn.errors import DataError, SkeAttnError
from skeattn.experiments.run import TOOLS
from skeattn.files import lock


def prepare_data(folder: Path, say: Callable[[str], object] = print) -> None:
    """See that a packed set is there and intact; one that needs no download is generated.

    Raises:
        DataError: it is missing or damaged, and has to be converted from its source.
    """
    if not is_generated(folder):
        PackedSet.open(folder).verify()
    elif not _intact(folder):
        with lock(folder.parent / f'.{folder.name}.lock'):
            if not _intact(folder):  # still: nobody else has generated it meanwhile
                say(f'generating {folder}')
                command = [sys.executable, str(TOOLS / 'convert.py'), *convert_arguments(folder), '--overwrite']
                if subprocess.run(command).returncode:
                    raise SkeAttnError(f'{folder} could not be generated: see the message above')
    say(f'{folder} is there and intact')


def _intact(folder: Path) -> bool:
    try:
        PackedSet.open(folder).verify()
    except DataError:
        return False
    return True
