"""Shared by all commands and tools: their parsers, config overrides, and how errors that the user can fix are shown."""

import argparse
import ast
import gc
import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from skeattn import toolbox
from skeattn.errors import ConfigError, DataError, SkeAttnError, number_of
from skeattn.files import check_writable, denied, storage_failed, storage_message
from skeattn.hardware import default_device
from skeattn.renaming import note_renamed

RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
"""Variables in which a launcher tells a process its number."""
NAMES = {'true': True, 'false': False}
"""Beside those of Python."""
DEBUG = 'SKEATTN_DEBUG'
"""Variable that ``--debug`` sets, so that processes started by a command inherit it."""


def command_parser(description: str | None, *examples: str) -> argparse.ArgumentParser:
    """A parser with the name of the running program, the option ``--debug``, and examples at the end of its help.

    Args:
        description: usually the docstring of the module.
        examples: complete command lines.
    """
    top = argparse.ArgumentParser(
        prog=os.path.basename(sys.argv[0]),
        description=description,
        epilog='\n'.join(['examples:', *(f'  {example}' for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_debug(top)
    return top


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Add ``--debug``; a parser with subcommands adds it to each of them as well."""
    text = 'show the traceback of an error'
    parser.add_argument('--debug', action='store_true', default=argparse.SUPPRESS, help=text)


def add_config(parser: argparse.ArgumentParser, name: str = 'config', **settings: Any) -> None:
    """Add an argument that names a config, see :func:`skeattn.toolbox.config_name`.

    Args:
        parser: of the command.
        name: of the argument.
        settings: further ones of :meth:`~argparse.ArgumentParser.add_argument`.
    """
    text = 'a file, or a name below configs/, such as skeattnclr/stgcn_demo'
    settings = {'type': toolbox.config_name, 'metavar': 'CONFIG', 'help': text, **settings}
    argument: Any = parser.add_argument(name, **settings)
    argument.completer = _complete_config


def _complete_config(prefix: str, **_: Any) -> list[str]:
    """What a shell offers for a config: names, and files as for every argument."""
    from argcomplete.completers import FilesCompleter

    return [name for name in toolbox.config_names() if name.startswith(prefix)] + list(FilesCompleter()(prefix))


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import MODULE``, for checkpoints with components of the user's own: the module is imported at once.

    A config imports them by ``custom_imports``; what a checkpoint names is never imported.
    """
    text = 'that registers components of your own; its folder is on PYTHONPATH'
    parser.add_argument('--import', dest=argparse.SUPPRESS, metavar='MODULE', action=_Import, help=f'a module {text}')


class _Import(argparse.Action):
    def __call__(
        self, parser: Any, namespace: argparse.Namespace, value: Any, option_string: str | None = None
    ) -> None:
        try:
            importlib.import_module(value)
        except ImportError as error:
            raise ConfigError(f'--import {value}: {error}; put the folder of your modules on PYTHONPATH') from error


def add_clips(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command that reads clips by a trained encoder; :func:`clips_of` returns the clips."""
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='a file, a work_dir, or a published name or address')
    parser.add_argument('clips', metavar='CLIPS', nargs='+', help='packed sets, files or folders of clips')
    parser.add_argument('--layout', help='of clips whose format has none: a name, or a .json file that defines it')
    text = "values of a joint, such as x,y,score, of such clips (the encoder's)"
    parser.add_argument('--channels', type=lambda names: names.split(','), metavar='NAMES', help=text)
    parser.add_argument('--device', help='such as cpu or cuda:1 (the accelerator, if there is one)')
    add_imports(parser)


def log_to_stderr() -> None:
    """Send the messages of mmengine there from now on, in a command whose stdout holds its result."""
    import logging

    from mmengine.logging import MMLogger

    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)


def clips_of(args: argparse.Namespace) -> dict[str, Any]:
    """The clips of :func:`add_clips`, their layout and channels, as the methods of an encoder take them."""
    clips = args.clips[0] if len(args.clips) == 1 else args.clips
    return {'clips': clips, 'layout': args.layout, 'channels': args.channels}


def add_cfg_options(parser: argparse.ArgumentParser, **settings: Any) -> None:
    """Add ``--cfg-options KEY=VALUE …``."""
    settings = {'metavar': 'KEY=VALUE', 'help': 'override settings of the config, such as stream=bone', **settings}
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue, default={}, **settings)


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that can run in several processes; it calls :func:`launch`."""
    parser.add_argument('--gpus', type=int, metavar='N', help='run in N processes, one per GPU; CPU processes without')
    text = 'what has started this process (none)'
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none', help=text)
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)


def launch(processes: int | None, script: str) -> None:
    """Replace this process by several with the same arguments, as ``tools/dist_*.sh`` start them.

    Args:
        processes: their number; None changes nothing.
        script: of ``tools/``, the same command.
    """
    if processes is None:
        return
    stated = argparse.ArgumentParser(add_help=False)
    stated.add_argument('--gpus')
    _, arguments = stated.parse_known_args(sys.argv[1:])
    os.environ['PYTHON'] = sys.executable
    command = ['bash', toolbox.TOOLS / '_launch.sh', processes, toolbox.TOOLS / script, *arguments]
    os.execvp('bash', list(map(str, command)))


def start(parser: Callable[[], argparse.ArgumentParser], main: Callable[[argparse.Namespace], int | None]) -> NoReturn:
    """Run a command with the arguments of this process, and exit as :func:`run` describes.

    Args:
        parser: returns the parser, without slow imports such as torch, so that ``--help`` and typos take no time.
        main: does the work with the parsed arguments; it imports what it needs.
    """

    def parsed() -> int | None:
        args = parser().parse_args()
        if vars(args).pop('debug', False):
            os.environ[DEBUG] = '1'
        return main(args)

    run(parsed)


def add_renamed(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Accept the former name of an option of one value as well, with a note; the help shows the new one alone.

    Args:
        parser: has the option already.
        old, new: such as ``--features``, ``--source``.
    """
    dest = new.lstrip('-').replace('-', '_')
    parser.add_argument(old, dest=dest, action=_Renamed, new=new, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


class _Renamed(argparse.Action):
    """Stores the value and notes what the option is called now."""

    def __init__(self, *args: Any, new: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.new = new

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        note_renamed(f'option {option_string}', self.new)
        setattr(namespace, self.dest, values)


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


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a tool's ``main`` and exit with its status (None counts as 0).

    A :class:`~skeattn.errors.SkeAttnError` is printed in one line and gives status 2; :data:`DEBUG` set to anything
    shows its traceback before. A signal such as that of
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
            _show_traceback()
            print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        text = storage_message(error.filename, error) if storage_failed(error) else denied(error)
        if not text:
            raise
        _show_traceback()
        print(f'error: {text}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        number = number_of(interrupt)
        by = 'interrupted' if number == signal.SIGINT else f'ended by {signal.Signals(number).name}'
        print(f'{by}; {interrupt}' if str(interrupt) else by, file=sys.stderr)
        sys.exit(128 + number)


def _show_traceback() -> None:
    if os.environ.get(DEBUG):
        traceback.print_exc()


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
    return device(requested) or default_device()


def output(requested: str | os.PathLike[str] | None, default: str | os.PathLike[str]) -> Path:
    """The file to write: the requested one, or a default that must not exist yet.

    Raises:
        ConfigError: the default exists; only a requested file is overwritten.
        StorageError, OSError: the file cannot be written.
    """
    if requested is None and Path(default).exists():
        raise ConfigError(f'{default} exists already; to overwrite it or to choose a different name, pass --out FILE')
    path = Path(default if requested is None else requested)
    check_writable(path)
    return path


def check_new(path: Path, overwrite: bool = False, cure: str = 'or pass --overwrite') -> None:
    """Refuse, before the work, a file that exists or cannot be written.

    Raises:
        DataError: the file exists, and ``overwrite`` is False; ends with the cure.
        StorageError, OSError: the file cannot be written.
    """
    if path.exists() and not overwrite:
        raise DataError(f'{path} exists already; choose a different name {cure}')
    check_writable(path)
