"""Packages that only some formats need, imported when such a format is read."""

import importlib
from types import ModuleType

from skeattn.errors import ConfigError


def extra(package: str, name: str, what: str) -> ModuleType:
    """A package of an extra.

    Args:
        package: to import.
        name: of the extra.
        what: needs it, for the message.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{what} need the package {package}: pip install 'skeattn[{name}]', or pip install {package} ({error})"
        ) from error
