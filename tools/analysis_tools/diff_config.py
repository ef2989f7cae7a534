"""Show the differences between two resolved configs.

The command ``skeattn diff``.
"""

from skeattn import cli
from skeattn.commands.diff import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
