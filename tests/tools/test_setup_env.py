"""The set-up script with an interpreter that installs nothing and writes down what it was asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Answers as Python, pip and venv do; an environment notes its Python and its torch in files beside its interpreter.
STAND_IN = """#!/usr/bin/env bash
here=$(dirname "$0")
echo "$*" >> "$LOG"
case "$*" in
    --version) cat "$here/version" 2>/dev/null || echo "Python ${0##*python}" ;;
    '-m venv --clear '*)
        rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; "$0" --version > "$4/bin/version" ;;
    '-m pip --version') [[ -e $here/python ]] ;;
    '-m pip install '*torch==*) [[ "$*" =~ torch==([0-9.]+) ]]; echo "${BASH_REMATCH[1]}" > "$here/torch" ;;
    *'import torch; assert'*) [[ "$*" == *"startswith('$(cat "$here/torch" 2>/dev/null)')" ]] ;;
esac
"""


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch):
    """Call the script in a checkout of its own: ``set_up(SKEATTN_TORCH='2.4.1') -> commands of the interpreter``."""
    checkout, path, log = tmp_path / 'checkout', tmp_path / 'path', tmp_path / 'log'
    (checkout / 'tools').mkdir(parents=True)
    for name in ('setup.py', 'pyproject.toml', 'tools/setup_env.sh'):
        shutil.copy(ROOT / name, checkout / name)
    path.mkdir()
    for name in ('python3.11', 'python3.13'):
        (path / name).write_text(STAND_IN)
        (path / name).chmod(0o755)
    for name in list(os.environ):
        if name.startswith('SKEATTN_'):
            monkeypatch.delenv(name)
    monkeypatch.setenv('PATH', f'{path}:/usr/bin:/bin')
    monkeypatch.setenv('LOG', str(log))

    def call(**variables: str) -> list[str]:
        log.write_text('')
        command = ['bash', '-c', 'source tools/setup_env.sh vis; echo "taken: $PYTHON"']
        environment = {**os.environ, **variables}
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=checkout, env=environment)
        assert ended.returncode == 0, ended.stderr
        assert f'taken: {checkout}/.venv/bin/python\n' in ended.stdout
        return log.read_text().splitlines()

    call.checkout = checkout
    return call


def installed(commands: list[str]) -> list[str]:
    """What pip was asked to install."""
    return [command.rpartition('--quiet ')[2] for command in commands if command.startswith('-m pip install')]


def test_a_second_call_does_nothing(set_up) -> None:
    root = set_up.checkout
    assert installed(set_up()) == ['torch==2.13.0', f'--editable {root}[vis] torch==2.13.0']
    assert set_up() == []


@pytest.mark.parametrize('name', ['setup.py', 'pyproject.toml', 'tools/setup_env.sh'])
def test_changed_requirements_are_installed(set_up, name: str) -> None:
    set_up()
    with (set_up.checkout / name).open('a') as file:
        file.write('# more\n')
    assert installed(set_up()) == [f'--editable {set_up.checkout}[vis] torch==2.13.0']


def test_torch_can_be_commands_and_commands_again(set_up) -> None:
    index = 'https://example.org/cpu'
    commands = installed(set_up(SKEATTN_TORCH='2.4.1', SKEATTN_TORCH_INDEX=index))
    assert commands == [f'torch==2.4.1 --extra-index-url {index}', f'--editable {set_up.checkout}[vis] torch==2.4.1']
    assert installed(set_up())[0] == 'torch==2.13.0'
    assert installed(set_up(SKEATTN_TORCH='2.4.1'))[0] == 'torch==2.4.1'
    assert set_up(SKEATTN_TORCH='2.4.1') == []


def test_the_python_of_the_environment_can_be_commands(set_up) -> None:
    version = set_up.checkout / '.venv/bin/version'
    set_up()
    assert version.read_text() == 'Python 3.11\n'
    assert not any('-m venv' in command for command in set_up(SKEATTN_BASE_PYTHON='python3.11'))
    set_up(SKEATTN_BASE_PYTHON='python3.13')
    assert version.read_text() == 'Python 3.13\n'


def test_the_oldest_versions_are_the_lower_bounds_of_what_runs(set_up) -> None:
    set_up()
    set_up(SKEATTN_OLDEST='1')
    found = (set_up.checkout / '.venv/oldest.txt').read_text().splitlines()
    tomllib = pytest.importorskip('tomllib')  # since Python 3.11
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    extras = [
        line
        for name, lines in project['optional-dependencies'].items()
        if name not in ('dev', 'docs')
        for line in lines
    ]
    wanted = [line.partition(',')[0].replace('>=', '==') for line in [*project['dependencies'], *extras]]
    assert found == [line for line in wanted if not line.startswith('torch==')] and 'numpy==1.26' in found
    assert set_up(SKEATTN_OLDEST='1') == []
