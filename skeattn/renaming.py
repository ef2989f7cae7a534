"""Names that have changed: the old ones keep working, with one note a process for each."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar('Function', bound=Callable[..., Any])


@functools.cache
def note_renamed(old: str, new: str) -> None:
    """Warn once per process that a name has changed."""
    warnings.warn(f'{old} is now called {new}; the old name keeps working', FutureWarning, stacklevel=3)


def renamed_arguments(**names: str) -> Callable[[Function], Function]:
    """Let a function be called by the names that its arguments had before.

    Arguments that do not fit the signature, but fit it once they are renamed, are renamed. A new name may thus be an
    old one of another argument: ``@renamed_arguments(protocol='split', split='part')``.

    Args:
        names: ``old='new'``.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)

        def fits(*args: Any, **kwargs: Any) -> bool:
            try:
                signature.bind(*args, **kwargs)
            except TypeError:
                return False
            return True

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            renamed = {names.get(name, name): value for name, value in kwargs.items()}
            old = sorted(names.keys() & kwargs.keys())
            if old and len(renamed) == len(kwargs) and not fits(*args, **kwargs) and fits(*args, **renamed):
                for name in old:
                    note_renamed(
                        f'{function.__qualname__.removesuffix(".__init__")}: argument {name!r}', repr(names[name])
                    )
                kwargs = renamed
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate
