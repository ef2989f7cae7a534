"""Evaluate a checkpoint: the command ``skeattn test``, as ``python tools/test.py``."""

from skeattn import cli
from skeattn.commands.test import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
