"""Parsed clips kept beside a set during its conversion, so that processes share the work and no work is lost.

The files of a source are cut into chunks. The process that parses a chunk, of any run, writes the result as a file to a
hidden folder beside the target. The file's name is a hash of all that it depends on; it is written atomically.
"""

import contextlib
import functools
import hashlib
import inspect
import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from skeattn.datasets.converters.source import Source
from skeattn.errors import DataError
from skeattn.files import is_running, sha256, try_lock, write_atomic
from skeattn.reading import parse_json, read_arrays

# Name of the clip, keypoint (M, T, V, C), the columns parsed from its name, and, if the format counts events, the
# number of each in the clip; the counts are summed in the manifest's notes.
Parsed = tuple[str, np.ndarray, dict[str, int]] | tuple[str, np.ndarray, dict[str, int], dict[str, int]]
Parse = Callable[[str, bytes], Parsed]

CHUNK = 32  # files: less than a second of work, and a few megabytes
_LOCK = 'lock'
# Fork where it is safe: a worker then starts at once and shares the memory of imported modules.
_START = 'fork' if sys.platform == 'linux' else 'spawn'


@dataclass(frozen=True)
class Outcome:
    """The result of one file: a clip, or the reason why there is none."""

    member: str
    parsed: Parsed | None
    reason: str = ''


class Chunks:
    """The work on a source, cut into pieces of :data:`CHUNK` files.

    Args:
        folder: of finished chunks.
        source: the files.
        parse: parser of one file.
    """

    def __init__(self, folder: Path, source: Source, parse: Parse) -> None:
        self._source = source
        self._parse = parse
        self._members = [source.members[i : i + CHUNK] for i in range(0, len(source), CHUNK)]
        code = _code(parse)
        self._files = [folder / f'{self._key(members, code)}.npz' for members in self._members]

    def _key(self, members: list[str], code: str) -> str:
        """Hash of the files, their state, the parser, its options and its source text."""
        states = []
        for member in members:
            with contextlib.suppress(DataError):  # reported when the file is read
                states.append([member, *self._source.state(member)])
        return hashlib.sha256(json.dumps([members, states, code]).encode()).hexdigest()[:32]

    def __len__(self) -> int:
        return len(self._members)

    def waiting(self) -> list[int]:
        """The chunks that are not finished yet."""
        return [number for number, file in enumerate(self._files) if not file.exists()]

    def size(self, number: int) -> int:
        """The number of files of a chunk."""
        return len(self._members[number])

    def outcomes(self, jobs: int) -> Generator[list[Outcome], None, None]:
        """The outcomes of each chunk in the order of the source, parsed by ``jobs`` processes."""
        with self._workers(jobs) as workers:
            for number in range(len(self)):
                while workers and not self._files[number].exists():
                    ended = wait([worker.sentinel for worker in workers], timeout=0.02)
                    workers = [worker for worker in workers if worker.sentinel not in ended]
                yield self._load(number)

    def _load(self, number: int) -> list[Outcome]:
        """A finished chunk; a missing or damaged one is made here, whatever happened to its worker."""
        try:
            return _read(self._files[number])
        except Exception:  # our own file, truncated by a crash of the machine
            self._make(number)
            return _read(self._files[number])

    def _make(self, number: int) -> None:
        """Parse a chunk and write its file."""
        self._source.read_ahead(self._members[number])
        outcomes = [self._outcome(member) for member in self._members[number]]
        write_atomic(self._files[number], lambda file: _write(file, outcomes))

    def _outcome(self, member: str) -> Outcome:
        try:
            return Outcome(member, self._parse(member, self._source.read(member)))
        except DataError as error:
            return Outcome(member, None, str(error))

    @contextlib.contextmanager
    def _workers(self, jobs: int) -> Iterator[list[Any]]:
        """Processes that make the waiting chunks; none if one process is enough."""
        waiting = self.waiting()
        if min(jobs, len(waiting)) < 2:
            yield []
            return
        context: Any = multiprocessing.get_context(_START)
        claimed = context.Value('q', 0)
        arguments = (self, waiting, claimed, os.getpid())
        workers = [context.Process(target=_work, args=arguments, daemon=True) for _ in range(min(jobs, len(waiting)))]
        try:
            for worker in workers:
                worker.start()
            yield workers
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()


def _work(chunks: Chunks, waiting: list[int], claimed: Any, parent: int) -> None:
    """A worker: claims chunk after chunk until none is left or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives it too, and ends its workers
    while os.getppid() == parent:
        with claimed.get_lock():
            turn = claimed.value
            claimed.value += 1
        if turn >= len(waiting):
            return
        try:
            chunks._make(waiting[turn])
        except Exception:  # the parent reaches this chunk, meets the same error and reports it
            return


@contextlib.contextmanager
def kept_beside(out: Path, complete: Callable[[], bool]) -> Iterator[Path]:
    """The hidden folder beside ``out`` for its finished chunks; removed at the end if ``complete()``, or if empty.

    Raises:
        DataError: another process is making ``out``.
    """
    folder = out.parent / f'.{out.name}.chunks'
    held = try_lock(folder / _LOCK, forked=False)  # free as soon as this process ends, though workers may linger
    if held is None:
        raise DataError(f'another conversion to {out} is running; wait for it, or choose another folder')
    with held:
        try:
            _remove_abandoned(out)
            yield folder
        finally:
            if complete() or not any(folder.glob('*.npz')):
                shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(out: Path) -> None:
    """Remove partial output of killed processes for ``out``."""
    for partial in out.parent.glob(f'.{out.name}.*.partial'):
        number = partial.name.split('.')[-2]
        if number.isdigit() and not is_running(int(number)):
            shutil.rmtree(partial, ignore_errors=True)


def _code(parse: Parse) -> str:
    """A hash of the parser's name, its options, and its source files."""
    options: list[Any] = []
    function: Any = parse
    while isinstance(function, functools.partial):
        options.append([function.args, sorted(function.keywords.items())])
        function = function.func
    files = {*Path(__file__).parent.glob('*.py'), Path(inspect.getfile(inspect.unwrap(function)))}
    hashes = [sha256(file) for file in sorted(files) if file.exists()]  # a function typed into a shell has no file
    return hashlib.sha256(repr([function.__module__, function.__qualname__, options, hashes]).encode()).hexdigest()


def _write(file: BinaryIO, outcomes: list[Outcome]) -> None:
    keypoints, notes = [], []
    for outcome in outcomes:
        note: dict[str, Any] = {'member': outcome.member, 'reason': outcome.reason}
        if outcome.parsed is not None:
            name, keypoint, *rest = outcome.parsed
            with np.errstate(over='ignore'):  # becomes infinite, which the writer reports
                keypoints.append(np.asarray(keypoint, '<f4').ravel())
            note['parsed'] = [name, np.shape(keypoint), *rest]
        notes.append(note)
    text = np.frombuffer(json.dumps(notes, default=int).encode(), np.uint8)
    np.savez(file, keypoint=np.concatenate([np.zeros(0, '<f4'), *keypoints]), notes=text)


def _read(file: Path) -> list[Outcome]:
    stored = read_arrays(file)
    keypoints, notes = stored['keypoint'], parse_json(stored['notes'].tobytes())
    outcomes, at = [], 0
    for note in notes:
        parsed = None
        if 'parsed' in note:
            name, shape, *rest = note['parsed']
            size = int(np.prod(shape))
            parsed = (name, keypoints[at : at + size].reshape(shape), *rest)
            at += size
        outcomes.append(Outcome(note['member'], parsed, note['reason']))
    return outcomes
