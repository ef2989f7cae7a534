"""The scripts for Slurm, with a stub of ``srun`` that prints its arguments."""

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.distributed.launching import launch


@pytest.fixture
def path(tmp_path: Path) -> str:
    stub = tmp_path / 'srun'
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    return f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'


def job(partition: str = '', tasks: int = 2, per_node: int = 2, name: str = 'skeattn', cpus: int = 4) -> list[str]:
    resources = [f'--job-name={name}', f'--gres=gpu:{per_node}', f'--ntasks={tasks}']
    resources += [f'--ntasks-per-node={per_node}', f'--cpus-per-task={cpus}', '--kill-on-bad-exit=1']
    return [f'--partition={partition}', *resources] if partition else resources


def test_a_training_is_a_task_per_gpu(path):
    done = launch('slurm_train.sh', 'a config.py', 2, '--cfg-options', 'seed=1', PATH=path, PYTHON='python')
    command = ['python', '-u', f'{ROOT}/tools/train.py', 'a config.py', '--cfg-options', 'seed=1']
    assert done.stdout.splitlines() == [*job(), *command, '--launcher', 'slurm'], done.stderr


def test_several_machines_and_the_options_of_the_job(path):
    options = dict(PARTITION='gpu', JOB_NAME='ntu', GPUS_PER_NODE='4', CPUS_PER_TASK='8', SRUN_ARGS='--time=60 --qos=x')
    done = launch('slurm_test.sh', 'config.py', 'epoch_1.pth', 16, PATH=path, PYTHON='python', **options)
    wanted = [*job('gpu', 16, 4, 'ntu', 8), '--time=60', '--qos=x']
    wanted += ['python', '-u', f'{ROOT}/tools/test.py', 'config.py', 'epoch_1.pth', '--launcher', 'slurm']
    assert done.stdout.splitlines() == wanted, done.stderr


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_too_few_arguments_print_the_usage(script):
    done = launch(script, 'config.py')
    assert done.returncode == 2 and 'usage:' in done.stderr and 'GPUS' in done.stderr


def test_a_senseless_number_and_a_machine_without_slurm(path, tmp_path):
    done = launch('slurm_train.sh', 'config.py', 'two', PATH=path)
    assert done.returncode == 2 and "'two' is no number of processes" in done.stderr
    bare = tmp_path / 'bare'
    bare.mkdir()
    for name in ('bash', 'dirname', 'env'):
        found = next(p for p in map(Path, ('/bin', '/usr/bin')) if (p / name).exists())
        (bare / name).symlink_to(found / name)
    done = launch('slurm_train.sh', 'config.py', 2, PATH=str(bare))
    assert done.returncode == 2 and 'no srun on this machine' in done.stderr
