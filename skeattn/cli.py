"""Shared by all command line tools: config overrides, and how errors that the user can fix are shown."""

import argparse
import ast
import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skeattn.errors import ConfigError, SkeAttnError, number_of
from skeattn.files import denied, storage_failed, storage_message

RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
"""Variables in which a launcher tells a process its number."""
NAMES = {'true': True, 'false': False}
"""Beside those of Python."""


class KeyValue(argparse.Action):
    """``--cfg-options KEY=VALUE …``: overrides by dotted key, with values as :func:`parse_value` reads them.

    The option can be given several times. A malformed argument ends the tool with one line and status 2.
    """

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        """Called by argparse."""
        options = dict(getattr(namespace, self.dest) or {})
        for value in values:
            key, sign, text = value.partition('=')
            if not key or not sign:
                parser.exit(2, f'error: {option_string}: {value!r} is not KEY=VALUE, such as stream=bone\n')
            options[key.strip()] = parse_value(text)
        setattr(namespace, self.dest, options)


def parse_value(text: str) -> Any:
    """The value of an override: a Python literal, or else the text as it was typed.

    Numbers, quoted text, ``None``, ``True``, ``False``, lists, tuples and dicts, also ``dict(a=1)``, are read as in a
    config file; ``true`` and ``false`` are read, too, and ``1,2`` is a list. Within brackets words need no quotes:
    ``[joint,motion]``. Everything else is text, with its blanks, commas and brackets: ``my runs/a, b``. Quotes keep a
    literal text: ``"'3'"``.
    """
    typed = text.strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            node = ast.parse(typed, mode='eval').body
            listed = ast.parse(f'[{typed}]', mode='eval').body  # a SyntaxError where something follows a #
        if isinstance(node, ast.Tuple) and ast.dump(listed) == ast.dump(ast.List(node.elts, ast.Load())):  # no brackets
            return list(ast.literal_eval(node))
        return _value(node, typed)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return text


def parse_list(text: str) -> list[Any]:
    """The items of ``a,b``, for a key that holds a list."""
    return [parse_value(item.strip()) for item in text.split(',') if item.strip()]


def as_argument(key: str, value: Any) -> str:
    """``KEY=VALUE``, which :class:`KeyValue` reads as this value."""
    typed = value if isinstance(value, str) and parse_value(value) == value else repr(value)
    return f'{key}={typed}'


def _value(node: ast.expr, text: str, inside: bool = False) -> Any:
    """The value of an expression; a ValueError where it is none."""
    if isinstance(node, ast.List | ast.Tuple):
        items = [_value(item, text, True) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict) and None not in node.keys:
        pairs = zip(node.keys, node.values, strict=True)
        return {_value(key, text, True): _value(item, text, True) for key, item in pairs if key}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {str(keyword.arg): _value(keyword.value, text, True) for keyword in node.keywords if keyword.arg}
    if isinstance(node, ast.Name) and node.id in NAMES:
        return NAMES[node.id]
    try:
        value = ast.literal_eval(node)
        if value is None or isinstance(value, bool | int | float | str):
            return value
    except ValueError:
        pass
    if inside and (segment := ast.get_source_segment(text, node)):
        return segment
    raise ValueError(text)


def check_arguments(parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Exit now if ``--help`` was requested or the command line has a typo.

    A tool calls it before its slow imports, such as torch; ``main`` parses the command line again and runs.
    """
    with _exit_on_errors():
        parser().parse_args()


def run(main: Callable[[], int | None]) -> None:
    """Run a tool's ``main`` and exit with its status (None counts as 0).

    A :class:`~skeattn.errors.SkeAttnError` is printed without a traceback and gives status 2. A signal such as that of
    Ctrl-C gives 128 and its number, and prints how to continue; a closed pipe gives 141. Any other exception is a
    defect and keeps its traceback.
    """
    with _exit_on_errors():
        status = main()
        _leave_process_group()
        sys.stdout.flush()
    sys.exit(status or 0)


@contextmanager
def _exit_on_errors() -> Iterator[None]:
    """End the tool as :func:`run` describes."""
    try:
        yield
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except SkeAttnError as error:
        if not _another_process_prints():
            print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        text = storage_message(error.filename, error) if storage_failed(error) else denied(error)
        if not text:
            raise
        print(f'error: {text}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        number = number_of(interrupt)
        by = 'interrupted' if number == signal.SIGINT else f'ended by {signal.Signals(number).name}'
        print(f'{by}; {interrupt}' if str(interrupt) else by, file=sys.stderr)
        sys.exit(128 + number)


def _another_process_prints() -> bool:
    """Whether this is one of several processes that have not been connected yet, and not the first.

    What is wrong before, such as a config, is wrong in all of them.
    """
    ranks = [os.environ[name] for name in RANKS if name in os.environ]
    distributed = sys.modules.get('torch.distributed')
    connected = distributed is not None and distributed.is_available() and distributed.is_initialized()
    return bool(ranks) and ranks[0] != '0' and not connected


def _leave_process_group() -> None:
    """Leave the group before the process ends: otherwise the destructor of gloo's threads can abort it.

    Models wrapped for distributed training hold the group as well, and lie in cycles with their runner: they go first.
    """
    distributed = sys.modules.get('torch.distributed')
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        gc.collect()
        distributed.destroy_process_group()


def device(requested: str | None) -> str | None:
    """The requested device of torch.

    Raises:
        ConfigError: this machine has no such device.
    """
    import torch

    if requested is not None:
        try:
            torch.empty(0, device=requested)
        except (RuntimeError, AssertionError) as error:
            there = 'cpu and cuda' if torch.cuda.is_available() else 'cpu'
            raise ConfigError(
                f'--device {requested}: {str(error).splitlines()[0]}; here you can use {there}'
            ) from error
    return requested


def device_or_best(requested: str | None) -> str:
    """:func:`device`; without a request the accelerator, if there is one."""
    import torch

    return device(requested) or ('cuda' if torch.cuda.is_available() else 'cpu')


def output(requested: str | os.PathLike[str] | None, default: str | os.PathLike[str]) -> Path:
    """The file to write: the requested one, or a default that must not exist yet.

    Raises:
        ConfigError: the default exists; only a requested file is overwritten.
    """
    if requested is None and Path(default).exists():
        raise ConfigError(f'{default} exists already; to overwrite it or to choose a different name, pass --out FILE')
    return Path(default if requested is None else requested)
