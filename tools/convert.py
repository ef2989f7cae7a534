"""Convert raw files to a packed set: the command ``skeattn convert``, as ``python tools/convert.py``."""

from skeattn import cli
from skeattn.commands.convert import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
