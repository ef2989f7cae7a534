"""Options of the tools that make tables, in a module without heavy imports: see :mod:`skeattn.choices`."""

import argparse
from pathlib import Path

from skeattn import cli

BUDGETS = ('full', 'small')
FROZEN = ('knn', 'linear', 'probe')
"""Protocols on frozen features, cheap enough to be evaluated together."""
CELL_METRICS = {'linear': 'top1', 'probe': 'top1', 'knn': 'top1_k1'}
"""Protocols that a table of frozen features can have instead of its own, each with the metric of its cells."""
FORMATS = {'simple': 'simple', 'github': 'github', 'latex': 'latex_booktabs'}
"""Format of a table -> its name in tabulate."""
RUNS = Path('work_dirs/runs')
"""Default folder of runs; tables share their trainings there."""


def add_options(parser: argparse.ArgumentParser, small: str, methods: str) -> None:
    """Add the options for data, methods, seeds and budget of a table.

    Args:
        parser: of the tool.
        small: description of the budget ``small``.
        methods: description of the default methods.
    """
    parser.add_argument('--dataset', required=True, metavar='NAME', help='demo, nwucla_xview, ntu60_xsub, …')
    parser.add_argument('--methods', nargs='+', metavar='METHOD', help=f'folders of configs/ ({methods})')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1], help='of the trainings (0 1)')
    parser.add_argument('--jobs', type=int, help='runs at a time (one per GPU, or per core)')
    parser.add_argument('--budget', choices=BUDGETS, default='full', help=f'small: {small}')
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
