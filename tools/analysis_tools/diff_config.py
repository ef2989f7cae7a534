"""Show the differences between two resolved configs.

    python tools/analysis_tools/diff_config.py configs/skeletonclr/stgcn_demo.py configs/skeattnclr/stgcn_demo.py

Exit status 0: equal, 1: they differ, 2: one cannot be read. A value that resolving copied to several places is shown
once.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('a', metavar='A', help='a config file')
    top.add_argument('b', metavar='B', help='a second one')
    for side in 'ab':
        option = f'--cfg-options-{side}'
        top.add_argument(option, nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    top.add_argument('--all', action='store_true', help='also show places that repeat a difference')
    top.add_argument('--format', default='simple', choices=['simple', 'github'], help='github: Markdown')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from collections.abc import Iterator, Mapping
from typing import Any

from tabulate import tabulate

import skeattn.models  # noqa: F401  registers the components of configs
from skeattn.engine.config import read_config, resolve_config

ABSENT = '(absent)'
ORDERED = ('pipeline', 'views')
"""Keys whose steps run in the written order, including the operations of a view."""
Rows = dict[str, tuple[str, str]]


def leaves(value: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of all leaves of a config; elements of lists of components have an ``[index]``."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from leaves(item, f'{key}.{name}' if key else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for i, item in enumerate(value):
            yield from leaves(item, f'{key}[{i}]')
    else:
        yield key, list(value) if isinstance(value, tuple) else value


def orders(value: Any, key: str = '', ordered: bool = False) -> Iterator[tuple[str, list[str]]]:
    """(dotted key, its keys in order) of every mapping of steps."""
    if isinstance(value, Mapping):
        if ordered:
            yield key, list(value)
        for name, item in value.items():
            inside = name in ORDERED or (ordered and isinstance(item, Mapping) and 'type' not in item)
            yield from orders(item, f'{key}.{name}' if key else str(name), inside)


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> Rows:
    """Dotted key -> the two values as text, in the order of the configs; :data:`ABSENT` for a missing key."""
    sides = dict(leaves(left)), dict(leaves(right))
    rows = {}
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        if key not in sides[0] or key not in sides[1] or sides[0][key] != sides[1][key]:
            rows[key] = tuple(repr(side[key]) if key in side else ABSENT for side in sides)
    sequences = dict(orders(left)), dict(orders(right))
    for key in sequences[0].keys() & sequences[1].keys():
        first, second = sequences[0][key], sequences[1][key]
        if first != second and sorted(first) == sorted(second):
            rows[f'{key} (order)'] = ', '.join(first), ', '.join(second)
    return rows


def once(rows: Rows) -> Rows:
    """The rows without repetitions, which have the same values and a key that ends with that of another row."""
    return {
        key: values
        for key, values in rows.items()
        if not any(key.endswith(f'.{other}') and values == same for other, same in rows.items())
    }


def main() -> int:
    args = parser().parse_args()
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


if __name__ == '__main__':
    cli.run(main)
