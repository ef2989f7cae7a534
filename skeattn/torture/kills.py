"""Trainings killed at random moments, resumed, and compared bit for bit with one that was not."""

import json
import random
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skeattn.torture import toy
from skeattn.torture.moments import Moment
from skeattn.torture.traces import differences
from skeattn.torture.trainings import FACTS, LOG, MODES, train

KINDS = (*MODES, 'during writes', 'during evaluation', 'SIGTERM')
"""Modes of training, killed at any moment; and moments of a training in any mode."""
MOST = 3
"""Kills of one run."""
LARGEST = 400_000
"""Bytes, above the size of a checkpoint."""


@dataclass(frozen=True)
class Whole:
    """An uninterrupted training: its work_dir, its duration, and the number of its operations on files."""

    run: Path
    seconds: float
    files: int


@dataclass
class Trial:
    """A training that was killed and resumed.

    Args:
        kind: of :data:`KINDS`.
        mode: of the training.
        moments: when it was killed, one for each start.
        kills: how many of them came before its end.
        faults: what differs from the uninterrupted training; empty if all is well.
        folder: of the run.
    """

    kind: str
    mode: str
    moments: list[Moment]
    kills: int = 0
    faults: list[str] = field(default_factory=list)
    folder: Path | None = None


class Gallows:
    """Trainings to kill; an uninterrupted one in each mode is made when it is first needed.

    Args:
        folder: for all runs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = toy.write_config(folder / 'toy.py', toy.write_set(folder / 'set'))
        self._whole: dict[str, Whole] = {}
        self._number = 0

    def whole(self, mode: str) -> Whole:
        """The uninterrupted training in a mode.

        Raises:
            RuntimeError: it fails.
        """
        if mode not in self._whole:
            place = self.folder / f'whole {mode}'
            statuses = train(self.config, place / 'run', MODES[mode])
            if any(statuses):
                raise RuntimeError(f'an uninterrupted training failed: {statuses}; {tail(place / LOG)}')
            self._whole[mode] = Whole(place / 'run', **json.loads((place / FACTS).read_text()))
        return self._whole[mode]

    def run(self, kind: str, mode: str, moments: Sequence[Moment]) -> Trial:
        """Train until each of the moments, resuming after each, then to the end, and compare."""
        whole = self.whole(mode)
        self._number += 1
        trial = Trial(kind, mode, list(moments), folder=self.folder / f'run {self._number}')
        assert trial.folder is not None
        run = trial.folder / 'run'
        try:
            for number, moment in enumerate(moments):
                statuses = train(self.config, run, MODES[mode], moment, resume=number > 0)
                if not any(statuses):  # it was faster
                    break
                if not expected(statuses, moment):
                    trial.faults.append(f'ended with {statuses}; {tail(trial.folder / LOG)}')
                    return trial
                trial.kills += 1
            statuses = train(self.config, run, MODES[mode], resume=True)
        except TimeoutError as error:
            trial.faults.append(f'{error}; {tail(trial.folder / LOG)}')
            return trial
        if any(statuses):
            trial.faults.append(f'the resumed training ended with {statuses}; {tail(trial.folder / LOG)}')
        else:
            trial.faults += differences(run, whole.run)
        if not trial.faults:
            shutil.rmtree(trial.folder)
        return trial


def expected(statuses: Sequence[int], moment: Moment) -> bool:
    """Whether the process that received the signal ended by it."""
    number = signal.SIGXFSZ if moment.event == 'size' else signal.Signals[moment.signal]
    codes = {-number} if moment.signal == 'SIGKILL' else {-number, 128 + number}
    return statuses[moment.rank] in codes


def random_trials(gallows: Gallows, kills: int, seed: int, note: Callable[[str], None]) -> Iterator[Trial]:
    """Trials with moments that follow from the seed, until so many kills came before the end of a training."""
    done = number = 0
    while done < kills:
        kind, draw = KINDS[number % len(KINDS)], random.Random(f'{seed} {number}')
        mode = kind if kind in MODES else draw.choice(list(MODES))
        moments = [draw_moment(kind, mode, gallows.whole(mode), draw) for _ in range(draw.randint(1, MOST))]
        trial = gallows.run(kind, mode, moments[: kills - done])
        number, done = number + 1, done + trial.kills
        note(f'{done} of {kills} kills: {kind}, {mode}: {"; ".join(trial.faults) or "identical"}')
        yield trial


def draw_moment(kind: str, mode: str, whole: Whole, draw: random.Random) -> Moment:
    """A random moment of a kind."""
    rank = draw.randrange(MODES[mode].processes)
    if kind == 'during writes':
        if draw.random() < 0.5:
            return Moment('size', int(10 ** draw.uniform(1, 5.6)))
        return Moment('file', draw.randrange(whole.files))
    if kind == 'during evaluation':
        return Moment('evaluation', draw.randrange(toy.EPOCHS), draw.choice([0, draw.uniform(0, 0.1)]), rank=rank)
    name = 'SIGTERM' if kind == 'SIGTERM' else 'SIGKILL'
    return Moment('start', 0, draw.uniform(0.001, whole.seconds), name, rank)


def tail(path: Path, lines: int = 3) -> str:
    """The end of what a run printed."""
    return ' | '.join(path.read_text(errors='replace').splitlines()[-lines:]) if path.exists() else 'no output'
