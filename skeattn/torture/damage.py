"""Damaged files of every kind, read: refused in one line, or read as far as they are whole."""

import random
import resource
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from skeattn.errors import SkeAttnError
from skeattn.files import denied
from skeattn.skeletons import LAYOUTS
from skeattn.torture.mutations import KINDS, damage
from skeattn.torture.specimens import SPECIMENS, absent, copy
from skeattn.torture.traces import same

SECONDS, PATIENCE_S = 30, 600
"""Time of the processor, and time on a busy machine, after which a reading counts as hung."""
MEMORY = 3 << 30
"""Bytes that a reading may take beyond what the packages took."""
BATCH = 50
REFUSED, READ = 'refused', 'read'
TRACEBACK, CHANGED, HUNG, MEMORY_FAULT, CRASHED = 'traceback', 'read otherwise', 'hung', 'memory', 'crashed'
FAULTS = (TRACEBACK, CHANGED, HUNG, MEMORY_FAULT, CRASHED)


@dataclass
class Outcome:
    """What came of reading a damaged specimen.

    Args:
        specimen: its name.
        seed: of its damage.
        result: one of :data:`FAULTS`, :data:`REFUSED`, :data:`READ`.
        what: file and damage.
        message: of the error.
    """

    specimen: str
    seed: str
    result: str
    what: str = ''
    message: str = ''


class _Hung(BaseException):
    pass


@dataclass
class Laboratory:
    """Intact specimens in a folder, damaged in copies.

    Args:
        folder: for all files.
    """

    folder: Path
    expected: dict[str, Any] = field(default_factory=dict, repr=False)

    def intact(self, name: str) -> Path:
        """The folder of an intact specimen; it is read once, to know its content."""
        place = self.folder / 'intact' / name
        if name not in self.expected:
            if not place.exists():
                place.mkdir(parents=True)
                SPECIMENS[name].make(place)
            self.expected[name] = self._read(name, place)
        return place

    def _read(self, name: str, place: Path) -> Any:
        target = self.folder / 'copy' / name
        copy(place, target)
        return _reading(name, target)

    def attempt(self, name: str, seed: str) -> Outcome:
        """Damage a file of a copy and read it."""
        draw, place, target = random.Random(seed), self.intact(name), self.folder / 'copy' / name
        copy(place, target)
        files = sorted(path for path in target.rglob('*') if path.is_file())
        path = draw.choice(files)
        others = sorted(path for path in (self.folder / 'intact').rglob('*') if path.is_file())
        done = None
        while done is None:  # not every kind suits every file
            done = damage(path, draw.choice(KINDS), draw, others)
        outcome = Outcome(name, seed, READ, f'{path.relative_to(target)}: {done.what}')
        try:
            content = _reading(name, target)
        except SkeAttnError as error:
            outcome.result, outcome.message = REFUSED, str(error)
        except OSError as error:
            outcome.result, outcome.message = REFUSED if denied(error) else TRACEBACK, place_of(error)
        except MemoryError as error:
            outcome.result, outcome.message = MEMORY_FAULT, place_of(error)
        except _Hung as error:
            outcome.result, outcome.message = HUNG, place_of(error)
        except Exception as error:
            outcome.result, outcome.message = TRACEBACK, place_of(error)
        else:
            if SPECIMENS[name].checked and not done.consistent and not same(content, self.expected[name]):
                outcome.result = CHANGED
        return outcome


def _reading(name: str, folder: Path) -> Any:
    """The content of a specimen; a layout that it registers is gone afterwards."""
    layouts = dict(LAYOUTS)
    try:
        return SPECIMENS[name].read(folder)
    finally:
        LAYOUTS.clear()
        LAYOUTS.update(layouts)


def place_of(error: BaseException) -> str:
    """Where an error comes from: its type, the last line of this package, and that of the library."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if 'skeattn' in frame.filename and 'torture' not in frame.filename] or frames
    last = ''.join(f' < {Path(f.filename).name}:{f.lineno}' for f in (own[-1], frames[-1]))
    return f'{type(error).__name__}: {str(error)[:120]}{last}'


def random_outcomes(
    folder: Path, number: int, seed: int, note: Callable[[str], None], names: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Outcomes of so many damages that follow from the seed, read in processes with a limit of memory and of time.

    By default of all specimens; what needs a package that is not installed is left out and noted.
    """
    names = names or tuple(name for name in SPECIMENS if name not in absent())
    if left_out := [name for name in absent() if name not in names]:
        note(f'not damaged, since their packages are not installed: {", ".join(left_out)}')
    laboratory = Laboratory(folder)
    for name in names:
        laboratory.intact(name)
    context = get_context('fork')
    work = schedule(number, seed, names)
    done, counts = 0, Counter[str]()
    while done < len(work):
        receiver, sender = context.Pipe(duplex=False)
        batch = work[done : done + BATCH]
        process = context.Process(target=_attempt_all, args=(laboratory, batch, sender))
        process.start()
        sender.close()
        for name, one in batch:
            outcome = _receive(receiver, process, name, one)
            done += 1
            counts[outcome.result] += 1
            yield outcome
            if outcome.result in (CRASHED, HUNG):
                break
        process.kill()
        process.join()
        note(f'{done} of {len(work)} damaged files: {", ".join(f"{n} {result}" for result, n in counts.items())}')


def schedule(number: int, seed: int, names: Sequence[str]) -> list[tuple[str, str]]:
    """(specimen, seed of the damage) of so many attempts; what takes long to read comes seldom."""
    draw = random.Random(seed)
    weights = [0.01 / max(SPECIMENS[name].cost, 0.01) for name in names]
    chosen = draw.choices(names, [max(weight, 0.1) for weight in weights], k=number)
    return [(name, f'{seed} {i}') for i, name in enumerate(chosen)]


def _receive(receiver: Any, process: Any, name: str, seed: str) -> Outcome:
    if receiver.poll(PATIENCE_S):
        try:
            outcome: Outcome = receiver.recv()
            return outcome
        except EOFError:
            process.join()
            return Outcome(name, seed, CRASHED, message=f'exit status {process.exitcode}')
        except UnicodeError as error:  # a reader made a text of what is none
            return Outcome(name, seed, TRACEBACK, message=f'its outcome cannot be sent: {error}')
    return Outcome(name, seed, HUNG)


def _attempt_all(laboratory: Laboratory, batch: list[tuple[str, str]], sender: Any) -> None:
    def hang(number: int, frame: Any) -> None:
        raise _Hung

    signal.signal(signal.SIGPROF, hang)
    with open('/proc/self/statm') as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, resource.RLIM_INFINITY))
    for name, seed in batch:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        outcome = laboratory.attempt(name, seed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sender.send(outcome)
