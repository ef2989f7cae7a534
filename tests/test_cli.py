"""How tools end: curable errors without a traceback, defects with one."""

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


def test_success_interrupt_and_a_given_status():
    assert end(lambda: None) == 0
    assert end(lambda: 3) == 3
    assert end(fail(KeyboardInterrupt())) == 130


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ValueError, match='a defect'):
        cli.run(fail(ValueError('a defect')))
