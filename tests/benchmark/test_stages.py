"""Stages: finished ones are kept, failures and the end of the minutes are recorded, nothing names the machine."""

import json
import platform
import sys
from pathlib import Path

import pytest

from skeattn.benchmark.gpu_check import outcomes, planned
from skeattn.benchmark.stages import Check, Stage, scrubbed
from skeattn.errors import SkeAttnError

GOOD = "import sys, pathlib; pathlib.Path(sys.argv[1], 'out.json').write_text('{\"value\": 3}')"
BAD = "print('before'); raise RuntimeError('of the stage')"


def read(folder: Path, status: int | None) -> dict:
    if status:
        raise SkeAttnError(f'ended with status {status}')
    return json.loads((folder / 'out.json').read_text())


def stage(name: str, code: str, minutes: float = 1.0, **options) -> Stage:
    return Stage(name, minutes, lambda folder: [sys.executable, '-c', code, str(folder)], read, **options)


def check(out: Path, *stages: Stage, left: float = 5.0, commit: str = 'a') -> dict:
    def render(report: dict) -> str:
        return ' '.join(f'{name}={record["state"]}' for name, record in report['stages'].items())

    return Check(stages, out, {'commit': commit}, render, lambda: left, {}, out.parent, lambda text: None).run()


def test_a_failed_stage_is_recorded_and_the_next_one_runs(tmp_path):
    out = tmp_path / 'out'
    report = check(out, stage('bad', BAD), stage('good', GOOD), stage('long', GOOD, minutes=9))
    assert (out / 'report.md').read_text() == 'bad=failed good=finished long=not started'
    assert report['stages']['good']['result'] == {'value': 3}
    note = report['stages']['bad']['note']
    assert 'before\n' in note and note.endswith('RuntimeError: of the stage\nended with status 1')
    assert report['stages']['long']['note'] == 'needs 9 minutes, 5.0 are left'
    assert json.loads((out / 'report.json').read_text()) == report
    assert not (out / 'long.json').exists()


def test_a_finished_stage_is_kept_for_the_same_commit_alone(tmp_path):
    out = tmp_path / 'out'
    check(out, stage('one', GOOD), stage('two', BAD))
    again = check(out, stage('one', BAD), stage('two', GOOD))
    assert [record['state'] for record in again['stages'].values()] == ['finished', 'finished']
    other = check(out, stage('one', BAD), commit='b')
    assert other['stages']['one']['state'] == 'failed'


@pytest.mark.slow
def test_out_of_time_is_recorded_and_a_stage_that_continues_has_a_result(tmp_path):
    out, slow = tmp_path / 'out', f'{GOOD}; import time; time.sleep(60)'
    stages = [stage('plain', slow, 0.0), stage('runs', slow, 0.0, continues=True)]
    report = check(out, *stages, left=0.02)['stages']
    assert [record['state'] for record in report.values()] == ['out of time'] * 2
    assert report['plain']['result'] is None and 'the same command continues' in report['plain']['note']
    assert report['runs']['result'] in ({'value': 3}, None)
    kept = check(out, *(Stage(s.name, 9, s.command, s.read) for s in stages), left=1)['stages']
    assert kept['plain'] == report['plain']


def test_an_obstacle_is_shown(tmp_path):
    report = check(tmp_path / 'out', stage('data', GOOD, obstacle=lambda: 'no data/x; convert it'))
    assert report['stages']['data']['note'] == 'no data/x; convert it'


@pytest.mark.parametrize(
    ('text', 'wanted'),
    [
        ('File "/checkout/here/skeattn/a.py", line 3', 'File "skeattn/a.py", line 3'),
        ('/usr/lib/python3/site-packages/torch/x.py:7: error', 'x.py:7: error'),
        ('saved ~/runs/epoch_1.pth', 'saved epoch_1.pth'),
        ('50 GFLOP/s, see https://pytorch.org/docs, data/nwucla, 3 / 4', None),
        ('./tools/train.py and float32/bfloat16', None),
    ],
)
def test_paths_of_the_machine_are_cut(text, wanted):
    assert scrubbed({'a': [text, 1.5]}, Path('/checkout/here')) == {'a': [wanted or text, 1.5]}


def test_the_host_is_not_named(monkeypatch):
    monkeypatch.setattr(platform, 'node', lambda: 'gpu-box')
    assert scrubbed('on gpu-box: ok', Path('/x')) == 'on host: ok'


def test_outcomes_of_a_junit_report():
    report = """<testsuites><testsuite hostname="box"><testcase name="a"/><testcase name="b"/>
    <testcase name="c"><failure message="x">long</failure></testcase><testcase name="d"><error/></testcase>
    <testcase name="e"><skipped message="no GPU"/></testcase></testsuite></testsuites>"""
    assert outcomes(report) == {'passed': 2, 'failed': ['c', 'd'], 'skipped': {'e': 'no GPU'}}


def test_runs_of_a_plan():
    lines = 'finished         SkeAttnCLR seed 0, knn: a\nto be trained    B, probe: b\nto be fused  e\na note\n'
    assert planned(lines) == [
        {'state': 'finished', 'run': 'SkeAttnCLR seed 0, knn: a'},
        {'state': 'to be trained', 'run': 'B, probe: b'},
    ]
