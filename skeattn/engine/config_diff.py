"""The differences between two resolved configs."""

from collections.abc import Iterator, Mapping
from typing import Any

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
    rows: Rows = {}
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        if key not in sides[0] or key not in sides[1] or sides[0][key] != sides[1][key]:
            first, second = (repr(side[key]) if key in side else ABSENT for side in sides)
            rows[key] = first, second
    sequences = dict(orders(left)), dict(orders(right))
    for key in sequences[0].keys() & sequences[1].keys():
        one, other = sequences[0][key], sequences[1][key]
        if one != other and sorted(one) == sorted(other):
            rows[f'{key} (order)'] = ', '.join(one), ', '.join(other)
    return rows


def once(rows: Rows) -> Rows:
    """The rows without repetitions, which have the same values and a key that ends with that of another row."""
    return {
        key: values
        for key, values in rows.items()
        if not any(key.endswith(f'.{other}') and values == same for other, same in rows.items())
    }
