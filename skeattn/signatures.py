"""Which arguments of which types a class or function takes, including those that it passes on."""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, Union

_BASE = object()
"""Stands for the next ``__init__`` of the class hierarchy."""


@functools.cache
def arguments_of(component: Any) -> tuple[frozenset[str], bool]:
    """Names that a class or function can be called with, and whether it takes any others as well.

    ``**kwargs`` that go to ``super().__init__`` or to another class, and nowhere else, take what that takes. What is
    done with others cannot be known: these are taken whatever they are called.
    """
    types, any_other = _taken(component)
    return frozenset(types), any_other


def types_of(component: Any) -> dict[str, Any]:
    """The annotation of each of :func:`arguments_of`; ``Any`` where there is none, or one that cannot be resolved.

    A default belongs to the type of its argument: ``width: int = None`` is ``int | None``.
    """
    return _taken(component)[0]


@functools.cache
def _taken(component: Any) -> tuple[dict[str, Any], bool]:
    types, rest = _parameters(component)
    chain = [component]
    if inspect.isclass(component):
        chain = [vars(base)['__init__'] for base in component.__mro__ if '__init__' in vars(base)]
    if rest is None or chain[0] is object.__init__:
        return types, rest is not None
    return _along(chain)


def _along(chain: list[Any]) -> tuple[dict[str, Any], bool]:
    """The same for the first of the ``__init__`` of a class and its bases."""
    function, *bases = chain
    if function is object.__init__:
        return {}, False
    types, rest = _parameters(function)
    receivers = [] if rest is None else _receivers(inspect.unwrap(function), rest)
    any_other = rest is not None and not receivers
    for receiver, given in receivers:
        more, others = _along(bases) if receiver is _BASE else _taken(receiver)
        types = {name: kind for name, kind in more.items() if name not in given} | types
        any_other = any_other or others
    return types, any_other


def _parameters(function: Any) -> tuple[dict[str, Any], str | None]:
    """Names and types of the arguments, and the name of ``**kwargs`` if there are any."""
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    rest = [parameter.name for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD]
    called = function.__init__ if inspect.isclass(function) else function
    names = getattr(inspect.unwrap(called), '__globals__', {})
    types = {parameter.name: _type(parameter, names) for parameter in parameters if parameter.kind in kinds}
    types.pop('self', None)
    return types, rest[0] if rest else None


def _type(parameter: inspect.Parameter, names: dict[str, Any]) -> Any:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return Any
    try:
        if isinstance(annotation, str):  # postponed, as by "from __future__ import annotations"
            annotation = eval(annotation, names)
        return Union[annotation, None] if parameter.default is None else annotation  # noqa: UP007
    except (NameError, AttributeError, TypeError, SyntaxError):  # some annotations are no types
        return Any


def _receivers(function: Callable[..., Any], rest: str) -> list[tuple[Any, frozenset[str]]]:
    """Who receives ``**rest`` beside which arguments; none where something else is done with it, too."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return []
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        for keyword in call.keywords:
            if keyword.arg is None and _hands_on(keyword.value, rest):
                found.append((_called(call.func, function), frozenset(k.arg for k in call.keywords if k.arg)))
    uses = sum(isinstance(node, ast.Name) and node.id == rest for node in ast.walk(tree))
    return found if len(found) == uses and all(receiver for receiver, _ in found) else []


def _hands_on(value: ast.expr, rest: str) -> bool:
    """Whether an expression is ``rest`` itself or a copy of it."""
    if isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
        value = value.args[0]
    return isinstance(value, ast.Name) and value.id == rest


def _called(name: ast.expr, function: Callable[..., Any]) -> Any:
    """What a call calls: the base's ``__init__``, something global, or None where that is unknown."""
    if ast.unparse(name) == 'super().__init__':
        return _BASE
    first, *rest = _dotted(name)
    value = getattr(function, '__globals__', {}).get(first)
    for part in rest:
        value = getattr(value, part, None)
    return value if callable(value) else None


def _dotted(name: ast.expr) -> Iterator[str]:
    if isinstance(name, ast.Attribute):
        yield from _dotted(name.value)
        yield name.attr
    else:
        yield name.id if isinstance(name, ast.Name) else ''
