"""Execution of many runs, several at a time."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch

from skeattn.errors import ConfigError
from skeattn.experiments.process import ONE_THREAD, Job
from skeattn.experiments.run import TRAINED, Run
from skeattn.experiments.training_log import TrainingLog
from skeattn.files import Lock, try_lock

LOG, LOCK = 'run.log', 'lock'


@dataclass
class Failure:
    """A run that did not finish.

    Args:
        run: the run.
        status: exit status of its process.
        log: file with its output.
        tail: the end of its output.
    """

    run: Run
    status: int
    log: Path
    tail: str

    def __str__(self) -> str:
        return f'{self.run} ended with status {self.status}; {self.log}:\n{self.tail}'


def execute(
    runs: Sequence[Run],
    root: Path,
    jobs: int | None = None,
    report: Callable[[str], object] = print,
    interval_s: float = 10.0,
) -> list[Failure]:
    """Execute the runs that have no record yet; a second call repeats nothing.

    Several processes may do so at once in the same folder: each training with its evaluations belongs to the process
    that took its lock; the others wait.

    Args:
        runs: the runs, in the order in which they start.
        root: folder of their folders.
        jobs: number of runs at a time; by default one per GPU, or per core without a GPU.
        report: receives progress lines.
        interval_s: seconds between two progress lines.

    Returns:
        the runs that failed; the others are finished.

    Raises:
        ConfigError: ``jobs`` is less than 1, or the config of a run is wrong.
    """
    places = workplaces(jobs)
    unfinished = {run.path(root): run for run in runs if not run.path(root).is_file()}
    waiting, active, failures = list(unfinished.values()), dict[int, _Active](), list[Failure]()
    pace = Pace(len(waiting), len(places))
    report(f'{len(waiting)} of {len(runs)} runs to do, {len(places)} at a time, in {root}')
    shown = time.monotonic()
    try:
        while waiting or active:
            for place, environment in enumerate(places):
                started = _take(waiting, root, environment) if place not in active else None
                if started:
                    active[place] = started
            if waiting and not active and not any(run.ready(root) or _in_work(run, root) for run in waiting):
                failures += [_without_start(run, root) for run in waiting]
                waiting.clear()
            for place in [place for place, current in active.items() if current.poll() is not None]:
                ended = active.pop(place)
                failure = ended.failure()
                failures += [failure] if failure else []
                pace.took.append((ended.run, ended.age))
                report(f'{ended.run} {f"failed with status {failure.status}" if failure else "is finished"}')
            if time.monotonic() - shown > interval_s:
                report(pace.line(list(active.values()), waiting))
                shown = time.monotonic()
            time.sleep(0.2)
    finally:
        for current in active.values():
            current.job.stop()
    return failures


def workplaces(jobs: int | None = None) -> list[dict[str, str]]:
    """The environments of the concurrent processes: one GPU each, or one thread each."""
    if jobs is not None and jobs < 1:
        raise ConfigError(f'jobs={jobs} runs at a time are impossible; set it to at least 1')
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    gpus = [str(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if not gpus:
        return [ONE_THREAD] * (jobs or cores)
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    gpus = visible.split(',')[: len(gpus)] if visible else gpus
    jobs = jobs or len(gpus)
    threads = dict.fromkeys(ONE_THREAD, str(max(1, cores // jobs)))
    return [{**threads, 'CUDA_VISIBLE_DEVICES': gpus[i % len(gpus)]} for i in range(jobs)]


def _take(waiting: list[Run], root: Path, place: Mapping[str, str]) -> '_Active | None':
    """Start the first waiting run that is ready and not locked; drop runs that another process has finished."""
    for run in [run for run in waiting if run.ready(root)]:
        lock = try_lock(run.folder(root) / LOCK)
        if lock is None:
            continue
        waiting.remove(run)
        if not run.path(root).is_file():
            return _Active(run, root, lock, place)
        lock.close()
    return None


def _in_work(run: Run, root: Path) -> bool:
    """Whether another process trains the run that this one starts from."""
    if run.start is None:
        return False
    lock = try_lock(run.start.folder(root) / LOCK)
    if lock is not None:
        lock.close()
    return lock is None


def _without_start(run: Run, root: Path) -> Failure:
    return Failure(run, 1, run.folder(root) / LOG, f'it starts from {run.start}, which is not finished')


class _Active:
    """A run in progress."""

    def __init__(self, run: Run, root: Path, lock: Lock, place: Mapping[str, str]) -> None:
        self.run, self.log, self.lock, self.place = run, run.folder(root) / LOG, lock, place
        self.start = time.monotonic()
        self.steps = run.steps(root)
        if not self.log.is_file():
            self.log.write_text(f'{run.description}\n')
        self._begin(*next(self.steps))

    def _begin(self, step: str, command: Sequence[str]) -> None:
        training = TrainingLog(self.log.parent, lambda: self.run.iterations) if step == TRAINED else None
        self.step, self.job = step, Job(str(self.run), command, self.log, self.place, self.lock, training)

    @property
    def age(self) -> timedelta:
        """Time since the start."""
        return timedelta(seconds=time.monotonic() - self.start)

    def poll(self) -> int | None:
        """Continue with the next step if there is one; the exit status after the last step, None before."""
        status = self.job.process.poll()
        following = next(self.steps, None) if status == 0 else None
        if following:
            self._begin(*following)
            return None
        if status is not None:
            self.lock.close()
        return status

    def failure(self) -> Failure | None:
        """The failure of a run that has ended; None if it succeeded."""
        status = self.job.process.returncode
        return Failure(self.run, status, self.log, self.job.tail()) if status else None

    def progress(self) -> tuple[str, timedelta | None]:
        """A progress text, and the time left if it is known."""
        return self.job.progress() if self.job.training else (f'{self.run} is {self.step}', timedelta())


class Pace:
    """Estimates the time for all runs from those observed."""

    def __init__(self, total: int, places: int) -> None:
        self.total, self.places = total, places
        self.took: list[tuple[Run, timedelta]] = []

    def line(self, active: Sequence[_Active], waiting: Sequence[Run]) -> str:
        """The progress of all runs as one line."""
        states = [(current, *current.progress()) for current in active]
        left = [rest for _, _, rest in states if rest is not None]
        durations = self.took + [(current.run, current.age + rest) for current, _, rest in states if rest is not None]
        line = '; '.join([f'{len(self.took)} of {self.total} done', *(text for _, text, _ in states)])
        similar = [_similar(run, durations) for run in waiting]
        if not left or not all(similar):
            return line
        ahead = [sum(times, timedelta()) / len(times) for times in similar]
        total = max([*left, sum(left + ahead, timedelta()) / self.places])
        return f'{line}; {str(total).partition(".")[0]} left in total'


def _similar(run: Run, durations: Sequence[tuple[Run, timedelta]]) -> list[timedelta]:
    """Durations of runs that also train, or also do not train."""
    return [took for other, took in durations if other.trained == run.trained]
