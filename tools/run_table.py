"""Produce a table of the paper: the command ``skeattn table``, as ``python tools/run_table.py``.

Paths are relative to the checkout, from any folder.
"""

import os
from pathlib import Path

from skeattn import cli
from skeattn.commands.table import main, parser

if __name__ == '__main__':
    os.chdir(Path(__file__).resolve().parent.parent)
    cli.start(parser, main)
