"""What every test module shares: the research data and golden files, one thread, no stop-watch, clean registries."""

import os
import runpy
import signal
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from skeattn.skeletons import LAYOUTS

torch.set_num_threads(1)
# A shell starts what it puts in the background with interrupts ignored, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long one example takes depends on what else the machine is doing.
settings.register_profile('skeattn', deadline=None)
settings.register_profile('fast', settings.get_profile('skeattn'), max_examples=25)
settings.load_profile('skeattn')

ROOT = Path(__file__).resolve().parent.parent
UNTRACKED = tuple(f'{ROOT / name}{os.sep}' for name in ('data', 'work_dirs'))
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')


def refuse_untracked(event, arguments):
    """A test that reads the data or trainings of this checkout would fail in a fresh clone: it fails here too."""
    if event == 'open' and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        assert not path.startswith(UNTRACKED), f'{path} is not part of the repository: write what the test reads'


def pytest_configure(config):
    """Where slow tests are left out, a property is tried on fewer examples."""
    sys.addaudithook(refuse_untracked)
    if config.option.markexpr == 'not slow':
        settings.load_profile('fast')


@pytest.fixture(autouse=True)
def forget_layouts():
    """A layout that a test registers is gone after the test."""
    layouts = dict(LAYOUTS)
    yield
    LAYOUTS.clear()
    LAYOUTS.update(layouts)


def shared_path(relative: str) -> Path:
    """A file of the shared data folder: ``$SKEATTN_SHARED``, else the folder ``shared`` beside the checkout.

    The calling test is skipped where the file is missing; it fails instead where ``SKEATTN_REQUIRE_SHARED=1``, so that
    a run meant to cover the golden cases cannot pass without them.
    """
    path = Path(os.environ.get('SKEATTN_SHARED') or ROOT.parent / 'shared') / relative
    if path.exists():
        return path
    reason = f'{path} is missing (set SKEATTN_SHARED to the folder that holds data/ and golden/)'
    if os.environ.get('SKEATTN_REQUIRE_SHARED') == '1':
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture
def tool(monkeypatch, capsys):
    """Run a tool in this process: ``tool('convert.py', ...) -> (status, stdout, stderr)``."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
        return ended.value.code, *capsys.readouterr()

    return run
