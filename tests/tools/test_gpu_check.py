"""The dry run of gpu_check on a CPU."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from skeattn.benchmark.gpu_check import MINUTES
from skeattn.benchmark.page import SECTIONS
from tests.conftest import ROOT

RESULTS = {
    'tests': {'passed', 'failed', 'skipped'},
    'benchmark': {'setting', 'rounds', 'clock', 'device', 'ceilings', 'sections', 'versions', 'hardware', 'threads'},
    'profile': {'config', 'batch', 'precision', 'resident', 'switches', 'step_ms', 'ceilings', 'times_floor', 'gpu'}
    | {'floor_ms', 'computing_ms', 'moving_ms', 'flops', 'bytes', 'operations', 'dearest'},
    'epoch': {'clips', 'batch', 'iterations', 'precision', 'resident', 'switches', 'epochs', 'clips_per_second'}
    | {'seconds', 'step_ms', 'hours'},
    'recipes': {'runs', 'table'},
}


def dry_run(out: Path) -> subprocess.CompletedProcess:
    command = ['bash', 'tools/gpu_check.sh', '20', '--device', 'cpu', '--tiny', '--work-dir', str(out)]
    env = {**os.environ, 'SKEATTN_PYTHON': sys.executable, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_dry_run_and_its_continuation(tmp_path):
    done = dry_run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['stages'].keys() == RESULTS.keys() == SECTIONS.keys() == MINUTES.keys()
    for name, record in report['stages'].items():
        assert record.keys() == {'stage', 'state', 'seconds', 'result', 'note'}
        if record['state'] == 'finished':
            assert record['result'].keys() - {'commit', 'dirty'} == RESULTS[name]
        else:
            assert name == 'recipes' and 'convert.py nwucla' in record['note']
    assert report['stages']['tests']['result']['passed'] > 0 and report['stages']['profile']['result']['gpu'] is None
    text = (tmp_path / 'report.md').read_text()
    assert all(f'{what}: needs a GPU' in text for what in ('Busy share', 'Longest kernels', 'Dearest gaps'))
    written = text + (tmp_path / 'report.json').read_text()
    assert str(ROOT) not in written and str(Path.home()) + '/' not in written and platform.node() not in written
    files = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.glob('*.json')}
    assert dry_run(tmp_path).returncode == 0
    kept = [path for path in files if path.name != 'report.json']
    assert len(kept) >= 4 and all(files[path] == (path.stat().st_mtime_ns, path.read_bytes()) for path in kept)
    assert json.loads((tmp_path / 'report.json').read_text())['stages'].keys() == RESULTS.keys()


def test_without_a_gpu_the_dry_run_is_named(tool, monkeypatch):
    monkeypatch.setattr('torch.empty', refuse)
    status, _, err = tool('analysis_tools/gpu_check.py')
    assert status == 2 and 'the dry run is --device cpu --tiny' in err


def refuse(*arguments, **options):
    raise RuntimeError('no such device')
