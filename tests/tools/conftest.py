"""Tools run in this process, as a shell would run them."""

import runpy
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture
def tool(monkeypatch, capsys):
    """Run a tool in this process: ``tool('convert.py', ...) -> (status, stdout, stderr)``."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
        return ended.value.code, *capsys.readouterr()

    return run
