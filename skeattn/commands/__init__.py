"""The command line ``skeattn``, with one module per command.

A module of this folder holds ``parser()``, which returns the parser of its command, and ``main(args)``, which does the
work and returns the exit status (None for 0). The module imports nothing slow: ``main`` imports what it needs, so that
``--help``, typos and completion load neither torch nor mmengine. The work itself belongs to a room below.

A new command is a module here and its line in :data:`GROUPS`.
"""

import argparse
import importlib
import os
import sys
from types import ModuleType
from typing import NoReturn

from skeattn import __version__, cli
from skeattn.errors import did_you_mean

GROUPS = {
    'data': {
        'convert': 'convert raw files to a packed set',
        'verify': 'check every clip of a packed set, or evaluate a published encoder again',
        'browse': "play a clip before and after each step of a config's pipeline and views",
        'export': 'a packed set in a format of other toolboxes, or a trained network as ONNX',
    },
    'train and evaluate': {
        'train': 'pre-train an encoder',
        'test': 'evaluate a checkpoint: KNN, probes, fine-tuning, retrieval, maps',
        'ensemble': 'fuse streams by their class scores',
        'report': 'a page for the browser: numbers, curves, classes, a map of clips that play',
    },
    'use': {
        'embed': 'features of clips by a trained encoder',
        'predict': 'classes of clips, by a fine-tuned checkpoint or from few labelled examples',
        'retrieve': 'the clips of a bank that are most similar to clips',
        'publish': 'an encoder for others: one file with its probe and its numbers, and a model card',
    },
    'many runs': {
        'compare': 'all methods on one data set: train, evaluate, and print one table',
        'table': 'a table of the paper: train, evaluate, and print it beside the published figures',
        'tables': 'a table of the paper from records that exist',
    },
    'look': {
        'info': 'one page about a checkpoint, work_dir, packed set, record, config or method',
        'doctor': 'versions, devices, and what is missing',
        'diff': 'the differences between two configs',
        'flops': 'parameters, multiply-accumulates and activation memory of configs',
    },
}
"""Heading -> command, the name of its module -> its line in ``skeattn --help``."""
COMMANDS = {name: about for group in GROUPS.values() for name, about in group.items()}

STATUS = """\
exit status
  0          done
  1          done, with a finding: problems in a set, failed runs, a difference
  2          not done: a wrong argument, config or file; the message names it
  128 + N    ended by signal N, such as 130 by Ctrl-C
  141        the reader of the output has closed it"""


def load(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f'{__name__}.{name}')


def overview() -> str:
    """The text of ``skeattn --help``."""
    wide = max(map(len, COMMANDS))
    lines = ['usage: skeattn COMMAND ...', '', 'Self-supervised skeleton action recognition.']
    for heading, commands in GROUPS.items():
        lines += ['', heading, *(f'  {name:<{wide}}  {about}' for name, about in commands.items())]
    options = {
        'COMMAND --help': 'options and examples of a command',
        'COMMAND --debug': 'show the traceback of an error',
        '--version': 'print the version',
    }
    lines += ['', 'options', *(f'  {name:<15}  {about}' for name, about in options.items()), '', STATUS]
    return '\n'.join(lines)


def complete() -> None:
    """Answer a shell that asks for completion; the extra ``completion`` installs what it needs."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        sys.exit(1)
    top = argparse.ArgumentParser('skeattn')
    top.add_argument('--version', action='store_true')
    named = top.add_subparsers()
    typed = os.environ.get('COMP_LINE', '').split()[1:2]
    for name in COMMANDS:  # the command line is of one of them: the others need no options
        named.choices[name] = load(name).parser() if [name] == typed else argparse.ArgumentParser(name)
    argcomplete.autocomplete(top)


def main() -> NoReturn:
    """Run the command that this process was called with."""
    if '_ARGCOMPLETE' in os.environ:
        complete()
    name, *arguments = sys.argv[1:] or ['--help']
    if name in ('-h', '--help', 'help'):
        cli.run(lambda: print(overview()))
    if name == '--version':
        cli.run(lambda: print(f'skeattn {__version__}'))
    if name not in COMMANDS:
        print(f'skeattn: error: no command {name!r}; {did_you_mean(name, COMMANDS)}', file=sys.stderr)
        sys.exit(2)
    sys.argv = [f'skeattn {name}', *arguments]  # a command is a program of its own
    command = load(name)
    cli.start(command.parser, command.main)
