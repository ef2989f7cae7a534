"""Compare all methods on one data set: the command ``skeattn compare``, as ``python tools/compare.py``.

Paths are relative to the checkout, from any folder.
"""

import os
from pathlib import Path

from skeattn import cli
from skeattn.commands.compare import main, parser

if __name__ == '__main__':
    os.chdir(Path(__file__).resolve().parent.parent)
    cli.start(parser, main)
