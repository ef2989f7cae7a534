"""Show the differences between two resolved configs.

Exit status 0: equal, 1: they differ, 2: one cannot be read. A value that resolving copied to several places is shown
once.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn diff skeletonclr/stgcn_demo skeattnclr/stgcn_demo',
        'skeattn diff skeattnclr/stgcn_demo mine.py --format github',
    )
    cli.add_config(top, 'a', metavar='A')
    cli.add_config(top, 'b', metavar='B', help='a second one')
    for side in 'ab':
        option = f'--cfg-options-{side}'
        top.add_argument(option, nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    top.add_argument('--all', action='store_true', help='also show places that repeat a difference')
    top.add_argument('--format', default='simple', choices=['simple', 'github'], help='github: Markdown')
    return top


def main(args: argparse.Namespace) -> int:
    """Print the differences; returns 1 if there are any."""
    from tabulate import tabulate

    import skeattn.models  # noqa: F401  registers the components of configs
    from skeattn.engine.config import read_config, resolve_config
    from skeattn.engine.config_diff import differences, once

    left, right = (
        resolve_config(read_config(path, options)).to_dict()
        for path, options in ((args.a, args.cfg_options_a), (args.b, args.cfg_options_b))
    )
    rows = differences(left, right)
    if not rows:
        return 0
    shown = rows if args.all else once(rows)
    table = [(key, *values) for key, values in shown.items()]
    widths = None if args.format == 'github' else [None, 48, 48]
    print(tabulate(table, ('', args.a, args.b), tablefmt=args.format, disable_numparse=True, maxcolwidths=widths))
    if len(shown) < len(rows):
        print(f'places that only repeat one of these: {len(rows) - len(shown)}; --all shows them')
    return 1
