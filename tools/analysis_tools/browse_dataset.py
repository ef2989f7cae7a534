"""Play a clip before and after every step of a config's pipeline and of its training views.

The command ``skeattn browse``.
"""

from skeattn import cli
from skeattn.commands.browse import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
