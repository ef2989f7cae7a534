"""The scripts that start several processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.distributed.launching import launch

pytestmark = pytest.mark.slow

# Width 64 on 16 clips of 64 frames and 2 persons in each of 8 processes.
NEEDED = 17e9


def available_memory() -> float:
    """Bytes that new processes can have."""
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable'):
            return 1024 * float(line.split()[1])
    return 0.0


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh'])
def test_too_few_arguments_print_the_usage(script):
    done = launch(script, 'config.py')
    assert done.returncode == 2 and 'usage:' in done.stderr and 'GPUS' in done.stderr


@pytest.mark.parametrize('count', ['0', 'two', '-1'])
def test_a_senseless_number_of_processes_is_named(count):
    done = launch('dist_train.sh', 'config.py', count)
    assert done.returncode == 2 and f"'{count}' is no number of processes" in done.stderr


def test_a_port_in_use_is_named_before_anything_starts():
    with socket.socket() as taken:
        taken.bind(('', 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = launch('dist_train.sh', 'config.py', '2', PORT=port)
    assert done.returncode == 2 and done.stderr.startswith(f'error: PORT={port} is in use')


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_a_launcher_that_has_not_started_the_process_is_named_in_one_line(tmp_path, launcher):
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(ROOT / 'configs/skeattnclr/stgcn_demo.py')]
    command += ['--launcher', launcher, '--work-dir', str(tmp_path / 'a')]
    done = subprocess.run(command, env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert f"error: launcher='{launcher}' reads the variables " in done.stderr.splitlines()[-1]
    assert 'leave out --launcher' in done.stderr and not (tmp_path / 'a').exists()


@pytest.mark.parametrize(('rank', 'lines'), [('0', 1), ('1', 0)])
def test_of_several_processes_the_first_reports_what_is_wrong_in_all(tmp_path, rank, lines):
    variables = {'RANK': rank, 'LOCAL_RANK': rank, 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': '1'}
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(ROOT / 'configs/skeattnclr/stgcn_demo.py')]
    command += ['--launcher', 'pytorch', '--work-dir', str(tmp_path / 'a'), '--cfg-options', 'batch_size=31']
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert done.stderr.count('error: batch_size=31 is shared by 2 processes') == lines


def test_more_gpus_than_present_is_an_error_before_anything_starts(tmp_path):
    (tmp_path / 'torch').mkdir()
    (tmp_path / 'torch/__init__.py').write_text(
        'class cuda:\n    is_available = staticmethod(lambda: True)\n    device_count = staticmethod(lambda: 1)\n'
    )
    done = launch('dist_train.sh', 'config.py', 4, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and done.stderr.startswith('error: 4 GPUs requested, 1 present')


@pytest.mark.parametrize(('config', 'processes', 'steps'), [('stgcn_demo', 2, 2), ('stgcn_ntu60_xsub', 8, 1)])
def test_the_shipped_configs_train_on_cpu_processes(tmp_path, config, processes, steps):
    """One or two iterations over generated clips, 220 of them for training; nothing else is overridden."""
    if processes == 8 and available_memory() < NEEDED:
        pytest.skip(
            f'8 processes need {NEEDED / 1e9:.0f} GB of free memory, {available_memory() / 1e9:.0f} GB are there'
        )
    data, work_dir = tmp_path / 'set', tmp_path / 'run'
    convert = [ROOT / 'tools/convert.py', 'synthetic', '--out', data, '--clips', '340']
    subprocess.run([sys.executable, *map(str, convert)], check=True, capture_output=True)
    overrides = ['--work-dir', work_dir, '--cfg-options', f'max_iters={steps}', f'dataset.data={data}']
    done = launch('dist_train.sh', ROOT / f'configs/skeattnclr/{config}.py', processes, *overrides)
    assert done.returncode == 0, done.stderr[-4000:]
    newest = work_dir / (work_dir / 'last_checkpoint').read_text()
    checkpoint = torch.load(newest, weights_only=True)
    assert (checkpoint['meta']['iter'], checkpoint['meta']['world_size']) == (steps, processes)
    assert checkpoint['state_dict']['queue.pointer'] == steps * checkpoint['meta']['batch_size']
