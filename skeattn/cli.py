"""What every command line tool shares: overrides of a config, and how an error that the user can cure is shown."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from skeattn.errors import ConfigError, SkeAttnError


class KeyValue(DictAction):
    """mmengine's ``--cfg-options KEY=VALUE …``; an argument of another form ends in one line and status 2."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        """Called by argparse."""
        for value in values:
            if not value.partition('=')[0] or '=' not in value:
                parser.exit(2, f'error: {option_string}: {value!r} is not KEY=VALUE, such as stream=bone\n')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:  # brackets that do not close
            parser.exit(2, f'error: {option_string}: {error}\n')


def run(main: Callable[[], int | None]) -> None:
    """Run a tool's ``main`` and leave the process with its exit status (None counts as 0).

    A :class:`~skeattn.errors.SkeAttnError` is printed without a traceback and ends in status 2, an interrupt in 130, a
    reader that is gone in 141.
    Anything else is a defect of the toolbox and keeps its traceback.
    """
    try:
        status = main()
        _leave_process_group()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except SkeAttnError as error:
        print(f'error: {error}', file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        status = 130
    sys.exit(status or 0)


def _leave_process_group() -> None:
    """A process that ends inside its group can abort in the destructor of gloo's threads, after all work is done."""
    distributed = sys.modules.get('torch.distributed')
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def output(asked: str | os.PathLike[str] | None, default: str | os.PathLike[str]) -> Path:
    """The file to write: the one asked for, else a default that must not be there yet.

    Raises:
        ConfigError: the default exists; only a name that was asked for is overwritten.
    """
    if asked is None and Path(default).exists():
        raise ConfigError(f'{default} is there already; to overwrite it, or for another name, say --out FILE')
    return Path(default if asked is None else asked)
