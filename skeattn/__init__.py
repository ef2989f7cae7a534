"""skeattn: self-supervised skeleton action recognition around SkeAttnCLR (IJCAI 2023)."""

import sys
from importlib.util import find_spec

try:
    import fcntl  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        'skeattn runs on Linux and macOS, and on Windows within WSL (https://learn.microsoft.com/windows/wsl/install): '
        'it needs their file locks, which this system lacks'
    ) from None
if find_spec('mmcv') is None and sys.argv[1:2] != ['doctor']:  # skeattn doctor reports it among others
    raise ModuleNotFoundError(
        'skeattn needs mmcv-lite or mmcv, and neither is installed. '
        'Install one of them, not both: pip install mmcv-lite (enough for skeattn), or a full mmcv.'
    )

__version__ = '0.1.0'
