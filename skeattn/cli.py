"""Shared by all command line tools: config overrides, and how errors that the user can fix are shown."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from skeattn.errors import ConfigError, SkeAttnError


class KeyValue(DictAction):
    """mmengine's ``--cfg-options KEY=VALUE …``; a malformed argument ends the tool with one line and status 2."""

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
    """Run a tool's ``main`` and exit with its status (None counts as 0).

    A :class:`~skeattn.errors.SkeAttnError` is printed without a traceback and gives status 2, an interrupt gives 130, a
    closed pipe 141. Any other exception is a defect of the toolbox and keeps its traceback.
    """
    try:
        status = main()
        _leave_process_group()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
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
    """Leave the group before the process ends: otherwise the destructor of gloo's threads can abort it."""
    distributed = sys.modules.get('torch.distributed')
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def output(requested: str | os.PathLike[str] | None, default: str | os.PathLike[str]) -> Path:
    """The file to write: the requested one, or a default that must not exist yet.

    Raises:
        ConfigError: the default exists; only a requested file is overwritten.
    """
    if requested is None and Path(default).exists():
        raise ConfigError(f'{default} exists already; to overwrite it or to choose a different name, pass --out FILE')
    return Path(default if requested is None else requested)
