"""The sections of the torture, their promises, and the table of docs/reliability.md."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate

from skeattn.torture.damage import FAULTS, READ, REFUSED, Outcome, random_outcomes
from skeattn.torture.endurance import train_long
from skeattn.torture.kills import KINDS, Gallows, Trial, random_trials
from skeattn.torture.specimens import SPECIMENS
from skeattn.torture.writers import write_at_once

GROWTH = 1e6
"""Bytes per 1,000 iterations that count as flat."""

Note = Callable[[str], None]


class Section(NamedTuple):
    """What a section found.

    Args:
        rows: of the table: what was tried, how often, and what came of it.
        faults: broken promises, each with what makes them happen again.
        record: for the JSON file.
    """

    rows: list[tuple[str, str, str]]
    faults: list[str]
    record: Any


def kills(folder: Path, number: int, seed: int, note: Note) -> Section:
    """Killed and resumed trainings."""
    trials = list(random_trials(Gallows(folder), number, seed, note))
    rows = []
    for kind in KINDS:
        own = [trial for trial in trials if trial.kind == kind]
        if own:
            same = sum(not trial.faults for trial in own)
            rows.append((f'killed: {kind}', f'{sum(trial.kills for trial in own)} kills in {len(own)} runs',
                         f'{same} of {len(own)} identical to the last bit'))  # fmt: skip
    faults = [f'{_moments(trial)}: {"; ".join(trial.faults)} ({trial.folder})' for trial in trials if trial.faults]
    listed = [{**asdict(trial), 'moments': _moments(trial), 'folder': str(trial.folder)} for trial in trials]
    return Section(rows, faults, listed)


def _moments(trial: Trial) -> str:
    return f'{trial.kind}, {trial.mode}: {"; ".join(map(str, trial.moments))}'


def damages(folder: Path, number: int, seed: int, note: Note) -> Section:
    """Damaged files."""
    outcomes = list(random_outcomes(folder, number, seed, note))
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        by_kind[outcome.specimen][outcome.result] += 1
    rows = [(f'damaged: {kind}', f'{sum(counts.values())} files', _results(counts))
            for kind in SPECIMENS if (counts := by_kind.get(kind))]  # fmt: skip
    faults = [_fault(outcome) for outcome in outcomes if outcome.result in FAULTS]
    return Section(rows, faults, [asdict(outcome) for outcome in outcomes if outcome.result in FAULTS])


def _results(counts: Counter[str]) -> str:
    broken = [f'{counts[result]} {result}' for result in FAULTS if counts[result]]
    return ', '.join([f'{counts[REFUSED]} refused in one line', f'{counts[READ]} read', *broken])


def _fault(outcome: Outcome) -> str:
    return f'{outcome.specimen}, damage {outcome.seed!r}: {outcome.result}: {outcome.what}: {outcome.message}'


def writers(folder: Path, number: int, seed: int, note: Note) -> Section:
    """Two processes that write one file."""
    counts = write_at_once(folder / 'shared' / 'file', number)
    note(f'two writers: {counts}')
    bad = {key: counts[key] for key in ('torn', 'exceptions', 'files left') if counts[key]}
    row = (
        'two writers of one file', f'{counts["writes"]} writes, read {counts["reads"]} times meanwhile',
        f'{counts["torn"]} torn, {counts["exceptions"]} exceptions',
    )  # fmt: skip
    return Section([row], [f'two writers: {bad}'] if bad else [], counts)


def endurance(folder: Path, minutes: float, seed: int, note: Note) -> Section:
    """A long training."""
    found = train_long(folder, 60 * minutes)
    growth = found['bytes_per_1000']
    note(f'a long training: {found}')
    row = (
        'a long training', f'{found["iterations"]} iterations, an evaluation and a checkpoint every third',
        f'memory grows by {growth / 1e6:.2f} MB per 1,000',
    )  # fmt: skip
    # A short one has not settled yet.
    wrong = not growth < GROWTH and found['iterations'] >= 2000
    return Section([row], [f'memory grows by {growth:.3g} bytes per 1,000 iterations'] if wrong else [], found)


def table(sections: list[Section]) -> str:
    """The Markdown table."""
    rows = [row for section in sections for row in section.rows]
    return tabulate(rows, headers=('what', 'how often', 'result'), tablefmt='github')
