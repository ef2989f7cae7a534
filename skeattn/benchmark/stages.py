"""Stages of a check, each in a process of its own; finished ones are not repeated and every cut-off leaves a page."""

import hashlib
import json
import platform
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeattn.errors import SkeAttnError
from skeattn.experiments.process import Job
from skeattn.files import write_json, write_text
from skeattn.results.provenance import environment

FINISHED, FAILED, CUT_OFF, NOT_STARTED = 'finished', 'failed', 'out of time', 'not started'
TAIL = 25
"""Last lines of a failed stage's output that the record keeps."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One part of the check.

    Args:
        name: of its record.
        minutes: that it needs; with fewer left it is not started.
        command: folder for its files -> program and arguments.
        read: folder, exit status (None: out of time) -> the result; a SkeAttnError or OSError: the stage has failed.
        obstacle: why it cannot run here, '' if it can.
        continues: a second start continues the first, and a result can be read when the time is over.
    """

    name: str
    minutes: float
    command: Callable[[Path], Sequence[str]]
    read: Callable[[Path, int | None], Mapping[str, Any]]
    obstacle: Callable[[], str] = str
    continues: bool = False


class Check:
    """Runs stages one after the other within a number of minutes.

    Args:
        stages: in order.
        out: folder of ``<stage>.json``, ``<stage>.log``, ``report.json`` and ``report.md``.
        subject: what was checked; a finished stage is repeated if it differs.
        render: report -> page.
        left: minutes that are left.
        env: changes to the environment of the stages.
        root: the checkout; its path appears in no record.
        say: receives progress lines.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        out: Path,
        subject: Mapping[str, Any],
        render: Callable[[Mapping[str, Any]], str],
        left: Callable[[], float],
        env: Mapping[str, str],
        root: Path,
        say: Callable[[str], None] = print,
    ) -> None:
        self.stages, self.out, self.subject, self.render = stages, out, dict(subject), render
        self.left, self.env, self.root, self.say = left, env, root, say
        self.records: dict[str, Record] = {}

    def run(self) -> Record:
        """Run what is not finished; returns the report."""
        for stage in self.stages:
            earlier = self._earlier(stage)
            if earlier:
                self.records[stage.name] = earlier
        report = self._report()
        for stage in self.stages:
            if self.records.get(stage.name, {}).get('state') != FINISHED:
                self._advance(stage)
            record = self.records[stage.name]
            reason = record['note'].splitlines()[-1:] if record['state'] != FINISHED else []
            self.say(': '.join([stage.name, record['state'], *reason]))
            report = self._report()
        return report

    def _advance(self, stage: Stage) -> None:
        obstacle, left = stage.obstacle(), self.left()
        if not obstacle and left < stage.minutes:
            obstacle = f'needs {stage.minutes:g} minutes, {max(0.0, left):.1f} are left'
        if obstacle:
            record = {'stage': stage.name, 'state': NOT_STARTED, 'seconds': 0.0, 'result': None, 'note': obstacle}
            self.records.setdefault(stage.name, record)
            return
        self.say(f'{stage.name} starts, {left:.0f} minutes left')
        record = self.records[stage.name] = scrubbed(self._execute(stage, left), self.root)
        write_json(self.out / f'{stage.name}.json', {**record, 'subject': self.subject})

    def _execute(self, stage: Stage, left: float) -> Record:
        begun = self.left()
        with tempfile.TemporaryDirectory(prefix='check_') as folder:
            job = Job(stage.name, stage.command(Path(folder)), self.out / f'{stage.name}.log', env=self.env)
            try:
                status: int | None = job.process.wait(60 * left)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                job.stop(30)
            result, note, state = None, '', FINISHED
            try:
                if status is not None or stage.continues:
                    result = dict(stage.read(Path(folder), status))
            except (SkeAttnError, OSError, ValueError) as error:
                state, note = FAILED, f'{job.tail(TAIL)}\n{error}'
            if status is None:
                state, note = CUT_OFF, 'ended when the minutes were over; the same command continues'
        return {
            'stage': stage.name,
            'state': state,
            'seconds': 60 * (begun - self.left()),
            'result': result,
            'note': note,
        }

    def _earlier(self, stage: Stage) -> Record | None:
        """The record of an earlier call on the same subject."""
        try:
            record = json.loads((self.out / f'{stage.name}.json').read_text())
        except (OSError, ValueError):
            return None
        return record if record.pop('subject', None) == self.subject else None

    def _report(self) -> Record:
        waiting = {'state': NOT_STARTED, 'seconds': 0.0, 'result': None, 'note': 'not reached yet'}
        stages = {s.name: self.records.get(s.name) or {'stage': s.name, **waiting} for s in self.stages}
        report = {'subject': self.subject, 'stages': stages}
        write_json(self.out / 'report.json', report)
        write_text(self.out / 'report.md', self.render(report))
        return report


def subject(device: str, tiny: bool, root: Path) -> Record:
    """What a check is about: commit and changes of tracked files, versions, hardware, device, sizes."""
    facts = environment()
    changes = ''
    if facts.get('dirty'):
        command = ['git', '-C', str(root), 'diff', 'HEAD']
        changes = hashlib.sha256(subprocess.run(command, capture_output=True, check=True).stdout).hexdigest()[:12]
    kept = {'commit': facts.get('commit', ''), 'changes': changes, 'versions': facts['versions']}
    return {**kept, 'hardware': facts['hardware'], 'device': device, 'tiny': tiny}


def scrubbed(value: Any, root: Path) -> Any:
    """The value with paths of the checkout made relative, other absolute paths cut to their last part, no host name."""
    if isinstance(value, Mapping):
        return {key: scrubbed(item, root) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(item, root) for item in value]
    if not isinstance(value, str):
        return value
    text = value.replace(f'{root}/', '')
    text = re.sub(r'(?<![\w.:/~])~?/(?:[\w.+@=-]+/)*(?=[\w.+@=-])', '', text)
    host = platform.node()
    return re.sub(rf'\b{re.escape(host)}\b', 'host', text) if len(host) > 2 else text
