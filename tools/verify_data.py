"""Check a packed set and summarise it: the command ``skeattn verify``, as ``python tools/verify_data.py``."""

from skeattn import cli
from skeattn.commands.verify import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
