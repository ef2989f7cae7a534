"""Fuse streams by their class scores: the command ``skeattn ensemble``, as ``python tools/ensemble.py``."""

from skeattn import cli
from skeattn.commands.ensemble import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
