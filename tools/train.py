"""Pre-train an encoder: the command ``skeattn train``, as ``python tools/train.py``."""

from skeattn import cli
from skeattn.commands.train import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
