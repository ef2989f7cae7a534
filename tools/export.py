"""Export a packed set to a format of other toolboxes: the command ``skeattn export``, as ``python tools/export.py``."""

from skeattn import cli
from skeattn.commands.export import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
