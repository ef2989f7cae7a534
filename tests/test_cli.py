"""Exit of the tools: curable errors without a traceback, defects with one."""

import argparse
import subprocess
import sys

import pytest

from skeattn import cli
from skeattn.errors import ConfigError, DataError


def end(main):
    with pytest.raises(SystemExit) as ended:
        cli.run(main)
    return ended.value.code


def fail(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize('error', [DataError('clip 7 is empty'), ConfigError('clip 7 is empty')])
def test_a_curable_error_is_one_line_and_status_2(error, capsys):
    assert end(fail(error)) == 2
    assert capsys.readouterr().err == 'error: clip 7 is empty\n'


def test_success_interrupt_and_a_returned_status():
    assert end(lambda: None) == 0
    assert end(lambda: 3) == 3
    assert end(fail(KeyboardInterrupt())) == 130


def test_a_closed_pipe_is_no_defect():
    """``tool | head``"""
    code = "from skeattn import cli; cli.run(lambda: print('line\\n' * 100_000))"
    tool = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert tool.stdout.readline() == 'line\n'
    tool.stdout.close()
    assert (tool.stderr.read(), tool.wait()) == ('', 141)
    tool.stderr.close()


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ValueError, match='a defect'):
        cli.run(fail(ValueError('a defect')))


def options(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue)
    return parser.parse_args(['--cfg-options', *arguments]).cfg_options


def test_overrides_are_read_by_mmengine():
    assert options('stream=bone', 'batch_size=4', 'milestones=[1,2]') == {
        'stream': 'bone',
        'batch_size': 4,
        'milestones': [1, 2],
    }


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ('stream', "'stream' is not KEY=VALUE, such as stream=bone"),
        ('=bone', "'=bone' is not KEY=VALUE, such as stream=bone"),
        ('milestones=[1,2', 'Imbalanced brackets exist in [1,2'),
    ],
)
def test_a_malformed_override_ends_in_one_line(wrong, message, capsys):
    with pytest.raises(SystemExit) as ended:
        options('batch_size=4', wrong)
    assert ended.value.code == 2 and capsys.readouterr().err == f'error: --cfg-options: {message}\n'
