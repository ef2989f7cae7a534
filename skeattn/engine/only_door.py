"""Files that ``init_cfg`` names are read as every other checkpoint: nothing of them is executed.

mmengine's own loader unpickles without limits under torch before 2.6, and that of its successor onedl-mmengine does so
under every version, for any file that cannot be read without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from skeattn.checkpoint import read_checkpoint
from skeattn.errors import CheckpointError


@contextmanager
def only_door() -> Iterator[None]:
    """Within the block mmengine reads files of weights by :func:`~skeattn.checkpoint.read_checkpoint`."""
    before = CheckpointLoader._schemes
    CheckpointLoader._schemes = {prefix: _refused for prefix in before if prefix} | {'': _read}
    try:
        yield
    finally:
        CheckpointLoader._schemes = before


def _read(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    return read_checkpoint(filename, map_location or 'cpu')


def _refused(filename: str, map_location: Any = None) -> dict[str, Any]:
    """What lies on a server.

    Raises:
        CheckpointError: always.
    """
    raise CheckpointError(
        f'init_cfg: {filename} is no local file; download it, check where it comes from, name the file'
    )
