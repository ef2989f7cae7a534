"""The differences between resolved configs."""

from collections.abc import Iterator, Mapping
from typing import Any

ABSENT = '(absent)'
ORDERED = ('pipeline', 'views')
"""Keys whose steps run in the written order, including the operations of a view."""
Rows = dict[str, tuple[str, ...]]


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


def differences(*configs: Mapping[str, Any]) -> Rows:
    """Dotted key -> the value of each config as text, in the order of the configs; :data:`ABSENT` for a missing key.

    Only keys in which the configs differ are listed.
    """
    sides = [dict(leaves(config)) for config in configs]
    rows: Rows = {}
    for key in dict.fromkeys(key for side in sides for key in side):
        values = [side.get(key, ABSENT) for side in sides]
        if any(key not in side for side in sides) or any(value != values[0] for value in values):
            rows[key] = tuple(repr(side[key]) if key in side else ABSENT for side in sides)
    sequences = [dict(orders(config)) for config in configs]
    for key in sequences[0].keys() & set.intersection(*(set(sequence) for sequence in sequences)):
        steps = [sequence[key] for sequence in sequences]
        if any(step != steps[0] and sorted(step) == sorted(steps[0]) for step in steps):
            rows[f'{key} (order)'] = tuple(', '.join(step) for step in steps)
    return rows


def once(rows: Rows) -> Rows:
    """The rows without repetitions, which have the same values and a key that ends with that of another row."""
    return {
        key: values
        for key, values in rows.items()
        if not any(key.endswith(f'.{other}') and values == same for other, same in rows.items())
    }
