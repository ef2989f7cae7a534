"""Parameters, multiply-accumulates and activation memory of configs, for the encoder and a training step.

The command ``skeattn flops``.
"""

from skeattn import cli
from skeattn.commands.flops import main, parser

if __name__ == '__main__':
    cli.start(parser, main)
