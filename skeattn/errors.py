"""The errors that a user can cause. Each message names the cause and the cure.

The command line tools print them without a traceback and exit with status 2. Any other exception is a defect of the
toolbox and keeps its traceback.
"""

import difflib
import signal
from collections.abc import Iterable, Sequence


class SkeAttnError(Exception):
    """Base of every error that input, configuration or a file on disk can cause."""


class DataError(SkeAttnError, ValueError):
    """A raw file, a clip or a packed set is unusable; names the file or sample."""


class NobodyError(DataError):
    """A clip without any person."""


class NoClipsError(DataError):
    """A part of a split has no clips, or none with a label; names the set, the split and the part."""


class RecordError(DataError):
    """A file is not the record of an evaluation; names the file and the field."""


class ConfigError(SkeAttnError, ValueError):
    """A config value is wrong or two values disagree; names the config key."""


class CheckpointError(SkeAttnError, RuntimeError):
    """A checkpoint is damaged or does not fit the model; names the file."""


class StorageError(SkeAttnError, OSError):
    """A file could not be written: a full or read-only disk, a used-up quota, or no such folder; names the path.

    Args:
        text: the message.
        number: ``errno`` of the error behind it.
    """

    def __init__(self, text: str, number: int | None = None) -> None:
        super().__init__(text)
        self.errno = number


class ExportError(SkeAttnError, RuntimeError):
    """A network cannot be exported, or its exported graph computes something else."""


class NonFiniteError(SkeAttnError, FloatingPointError):
    """A loss or a weight became NaN or infinite during training."""


class ProcessError(SkeAttnError, RuntimeError):
    """Of several processes of a training one hangs or has ended; names it."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = '') -> str:
    """A hint for the end of a message: the known names nearest to a wrong one.

    Args:
        name: the wrong name.
        known: the right ones.
        otherwise: the hint where none is near; by default a list of all.
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if near:
        return f'did you mean {" or ".join(map(repr, near))}?'
    return otherwise or f'known: {", ".join(names)}'


def shorten(names: Sequence[str], separator: str = ', ', most: int = 3) -> str:
    """The first few names, and an ellipsis if there are more."""
    return separator.join(names[:most]) + (f'{separator}…' if len(names) > most else '')


class Interrupted(KeyboardInterrupt):
    """A signal has ended the work.

    Args:
        text: how to continue.
        number: of the signal.
    """

    def __init__(self, text: str = '', number: int = signal.SIGINT) -> None:
        super().__init__(text)
        self.number = number


def number_of(interrupt: KeyboardInterrupt) -> int:
    """The number of the signal behind an interrupt; Python's own interrupt is Ctrl-C."""
    return interrupt.number if isinstance(interrupt, Interrupted) else signal.SIGINT
