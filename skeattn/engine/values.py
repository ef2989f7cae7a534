"""Values of a config: which types and ranges they have, in one form of error.

Types are the annotations of the constructors (:func:`~skeattn.signatures.types_of`). Ranges are defined here, once for
each name: a ``batch_size`` has the same meaning everywhere.
"""

import enum
import inspect
import math
import numbers
import os
import reprlib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import numpy as np
from torch import Tensor


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``.

    Args:
        low: the least.
        high: the greatest.
        low_open: ``low`` itself is outside.
        high_open: ``high`` itself is outside.
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, number: Any) -> bool:
        above = number > self.low if self.low_open else number >= self.low
        below = number < self.high if self.high_open else number <= self.high
        return bool(above and below)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f'above {self.low:g}' if self.low_open else f'of at least {self.low:g}'
        return f'in {"(" if self.low_open else "["}{self.low:.10g}, {self.high:.10g}{")" if self.high_open else "]"}'


POSITIVE = Range(0, low_open=True)
NOT_NEGATIVE = Range(0)
COUNT = Range(1)
SHARE = Range(0, 1)
SHARE_BELOW_1 = Range(0, 1, high_open=True)
SEED = Range(0, 2**32 - 1)  # what numpy takes


def _named(names: str, limits: Range) -> dict[str, Range]:
    return dict.fromkeys(names.split(), limits)


RANGES = {
    **_named('epochs max_epochs max_iters interval interval_exp_name val_interval accumulative_counts T_max', COUNT),
    **_named(
        'batch_size num_classes num_persons num_frames min_frames num_digits window_size size max_keep recall k', COUNT
    ),
    **_named('in_channels out_channels hidden_channels base_channels channels widths inner_widths strides', COUNT),
    **_named('kernel_size num_layers num_heads depth patch top_k unit_frames taps limit neighbours', COUNT),
    **_named('parts num_features out_features in_features step_size Crop.ratio base_batch_size', COUNT),
    **_named('temperature gamma factor factors units eps perplexity max_norm SkeletonTransformer.ratio', POSITIVE),
    **_named(
        'weight_decay std amplitude degrees sigma region_weight milestones longest ahead_epochs begin warmup',
        NOT_NEGATIVE,
    ),
    **_named('eta_min num_workers patience start_factor end_factor resource_limit val_begin', NOT_NEGATIVE),
    **_named('lr lr_mult decay_mult bias_lr_mult bias_decay_mult norm_decay_mult flat_decay_mult', NOT_NEGATIVE),
    **_named('momentum base_momentum dampening probability mu drop add RandomJointMask.ratio zero_probability', SHARE),
    **_named('JointCorruption.ratio CropResize.share', Range(0, 1, low_open=True)),
    **_named('betas dropout drop_path heldout label_smoothing', SHARE_BELOW_1),
    **_named('fraction layer_decay trained', Range(0, 1, low_open=True)),
    'mask_ratio': Range(0, 1, low_open=True, high_open=True),
    'folds': Range(2),
    **_named('penalties tolerance minutes tau TokenDecoder.ratio', POSITIVE),
    'max_iterations': COUNT,
    **_named('seed labels_seed', SEED),
}
"""By the name of an argument, or by class and argument where two classes give a name different meanings."""


def range_of(name: str, component: str = '') -> Range | None:
    """The range of a number with that name; None if every number is allowed."""
    return RANGES.get(f'{component}.{name}') or RANGES.get(name)


def complaint(value: Any, kind: Any, limits: Range | None = None) -> str | None:
    """Description of the allowed values; None if the value is one of them.

    Args:
        value: the value; whole numbers and numpy scalars also count as numbers.
        kind: its type, as an annotation. A class that is no plain type means an object, which a config writes as a
            dict.
        limits: the range of each number in it.
    """
    if fits(value, kind) and (limits is None or all(number in limits for number in _numbers(value))):
        return None
    return describe(kind if kind is not Any else float, f' {limits}' if limits else '')


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return fits(value, arguments[0])
    if origin in (Union, types.UnionType):
        return any(fits(value, other) for other in arguments)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if kind is None or kind is type(None):
        return value is None
    kind = origin or kind
    if not inspect.isclass(kind) or kind in (Any, object, Callable):
        return True
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind in (int, float):
        number = numbers.Integral if kind is int else numbers.Real
        return isinstance(value, number) and not isinstance(value, bool)
    if _is_list(kind):
        return isinstance(value, list | tuple) and _items_fit(value, kind, arguments)
    if kind is str or issubclass(kind, os.PathLike | enum.Enum):
        return isinstance(value, str | kind)
    return isinstance(value, kind) or (isinstance(value, Mapping) and kind is not Tensor)


def takes_list(kind: Any) -> bool:
    """Whether ``a,b`` on the command line is a list: the type allows lists and no path, which can have a comma."""
    if get_origin(kind) in (Union, types.UnionType, Annotated):
        return any(map(takes_list, get_args(kind))) and not any(map(_is_path, get_args(kind)))
    return _is_list(get_origin(kind) or kind)


def describe(kind: Any, limits: str = '', plural: bool = False) -> str:
    """A type in words, with the limits of its numbers."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return describe(arguments[0], limits, plural)
    if origin in (Union, types.UnionType):
        others = [describe(other, limits, plural) for other in arguments if other is not Tensor]  # no config holds one
        return ' or '.join(dict.fromkeys(others))
    if origin is Literal:
        return ' or '.join(map(repr, arguments))
    kind = origin or kind
    if kind in (int, float):
        number = {int: 'whole number', float: 'number'}[kind]
        return f'{number}s{limits}' if plural else f'a {number}{limits}'
    if _is_list(kind):
        items = [item for item in arguments if item is not Ellipsis]
        count = f'{len(items)} ' if kind is tuple and len(items) == len(arguments) > 0 else ''
        what = describe(items[0], limits, plural=True) if items and items[0] is not Any else 'values'
        return f'{"lists" if plural else "a list"} of {count}{what}'
    if kind is None or kind is type(None):
        return 'None'
    if kind is bool:
        return 'True or False'
    if kind is str:
        return 'text'
    if not inspect.isclass(kind):
        return 'a value'
    if issubclass(kind, Mapping):
        return 'dicts' if plural else 'a dict'
    if _is_path(kind):
        return 'paths' if plural else 'a path'
    return f'a {kind.__name__}'


def shown(value: Any) -> str:
    """A value for a message, shortened if it is long."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    return short.repr(value)


def _is_path(kind: Any) -> bool:
    kind = get_origin(kind) or kind
    return inspect.isclass(kind) and issubclass(kind, os.PathLike)


def _is_list(kind: Any) -> bool:
    plain = inspect.isclass(kind) and kind.__module__ in ('builtins', 'collections.abc')
    return plain and issubclass(kind, Iterable) and not issubclass(kind, Mapping | str | bytes)


def _items_fit(value: Any, kind: Any, arguments: tuple[Any, ...]) -> bool:
    if not arguments:
        return True
    if kind is tuple and Ellipsis not in arguments:
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    return all(fits(item, arguments[0]) for item in value)


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
