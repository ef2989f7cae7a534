"""The command line skeattn: its table, help, examples, misspelt words, exit status, and completion."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from skeattn import __version__, cli, commands
from tests.conftest import ROOT
from tests.tools.starting import HEAVY

EXAMPLES = """
import json, sys
from skeattn import commands
parsed = {}
for name in commands.COMMANDS:
    parser = commands.load(name).parser()
    *_, heading, first, second = parser.format_help().splitlines()
    assert heading == 'examples:', name
    for example in (first, second):
        program, command, *arguments = example.split()
        assert (program, command) == ('skeattn', name), example
        parser.parse_args(arguments)
    parsed[name] = [first.strip(), second.strip()]
loaded = [name for name in sys.argv[1:] if name in sys.modules]
print(json.dumps({'parsed': parsed, 'loaded': loaded}))
"""


def skeattn(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    command = [sys.executable, '-m', 'skeattn', *arguments]
    env = {**os.environ, 'PYTHONPATH': str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)


@pytest.fixture
def run(monkeypatch, capsys):
    """The command in this process: ``run(arguments) -> (status, stdout, stderr)``."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['skeattn', *arguments])
        with pytest.raises(SystemExit) as ended:
            commands.main()
        return ended.value.code, *capsys.readouterr()

    return run


def test_every_help_ends_with_two_examples_that_parse_and_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, '-c', EXAMPLES, *HEAVY], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found['loaded'] == [] and found['parsed'].keys() == commands.COMMANDS.keys()


def test_every_module_is_in_the_table() -> None:
    modules = {path.stem for path in Path(commands.__file__).parent.glob('[!_]*.py')}
    assert modules == commands.COMMANDS.keys()


@pytest.mark.parametrize('name', commands.COMMANDS)
def test_every_command_can_show_the_traceback_of_an_error(name) -> None:
    assert '--debug' in commands.load(name).parser().format_help()


def test_the_overview_lists_the_commands_and_the_exit_status(run) -> None:
    status, out, err = run('--help')
    assert (status, err) == (0, '') and run() == (0, out, '') and skeattn('--help').stdout == out
    for name, about in commands.COMMANDS.items():
        assert f'  {name}  ' in out and about in out
    assert max(map(len, out.splitlines())) <= 100 and '128 + N' in out
    assert run('--version') == (0, f'skeattn {__version__}\n', '')


def test_the_installed_script_is_this_command() -> None:
    scripts = metadata.entry_points(group='console_scripts', name='skeattn')
    assert [script.load() for script in scripts] in ([], [commands.main])
    assert 'skeattn = "skeattn.commands:main"' in (ROOT / 'pyproject.toml').read_text()


@pytest.mark.parametrize(
    ('line', 'status', 'message'),
    [
        ('trian x', 2, "skeattn: error: no command 'trian'; did you mean 'train'"),
        ('train --resmue', 2, 'skeattn train: error: '),
        ('convert ntu', 2, 'skeattn convert ntu: error: '),
        (
            'train skeattnclr/stgcn_dmeo',
            2,
            "error: no config file skeattnclr/stgcn_dmeo; did you mean 'skea",
        ),
        ('train skeattnclr/stgcn_demo --cfg-options stream', 2, "error: --cfg-options: 'stream' is not KEY=VALUE"),
        ('verify nowhere', 2, 'error: no packed set at nowhere'),
        ('diff skeattnclr/stgcn_demo skeletonclr/stgcn_demo', 1, ''),
    ],
)
def test_bad_input_is_one_message_and_a_status(run, line, status, message) -> None:
    ended, _, err = run(*line.split())
    assert ended == status and 'Traceback' not in err
    assert message in err and bool(err) == bool(message)


def test_the_traceback_is_shown_on_request(run, monkeypatch) -> None:
    monkeypatch.setenv(cli.DEBUG, '')
    assert 'Traceback' not in run('verify', 'nowhere')[2]
    status, _, err = run('verify', 'nowhere', '--debug')
    assert status == 2 and err.startswith('Traceback')
    assert err.splitlines()[-2].startswith('error: no packed set at nowhere')
    assert run('verify', 'nowhere')[2] == err  # the processes of a command inherit it


@pytest.mark.parametrize(
    ('line', 'offered'),
    [
        ('skeattn tr', ['train ']),
        ('skeattn train --resume-w', ['--resume-with-changes ']),
        ('skeattn convert ntu --pers', ['--persons ']),
        ('skeattn diff skeattnclr/stgcn_nwucla_xview_b', ['skeattnclr/stgcn_nwucla_xview_bone ']),
        ('skeattn info READ', ['README.md ']),
    ],
)
def test_a_shell_completes_commands_options_and_configs(line, offered, tmp_path) -> None:
    pytest.importorskip('argcomplete')
    asked = {'_ARGCOMPLETE': '1', '_ARGCOMPLETE_IFS': '\n', '_ARGCOMPLETE_STDOUT_FILENAME': str(tmp_path / 'offered')}
    skeattn(**asked, COMP_LINE=line, COMP_POINT=str(len(line)))
    assert (tmp_path / 'offered').read_text().split('\n') == offered


def test_several_processes_get_the_arguments_without_their_number(monkeypatch) -> None:
    started = []
    monkeypatch.setattr('os.execvp', lambda program, command: started.append(command))
    monkeypatch.setattr(sys, 'argv', ['skeattn train', 'a.py', '--gpus', '2', '--cfg-options', 'stream=bone', '--amp'])
    monkeypatch.setenv('PYTHON', '')
    cli.launch(2, 'train.py')
    (command,) = started
    assert command[:4] == ['bash', str(ROOT / 'tools/_launch.sh'), '2', str(ROOT / 'tools/train.py')]
    assert command[4:] == ['a.py', '--cfg-options', 'stream=bone', '--amp']
    cli.launch(None, 'train.py')
    assert len(started) == 1
