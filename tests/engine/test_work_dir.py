"""A folder belongs to one training at a time."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from skeattn.engine.work_dir import LOCK, alone_in
from skeattn.errors import ConfigError
from tests.engine.toy import toy_runner

pytestmark = pytest.mark.slow

HOLDER = """
import sys
from pathlib import Path
from skeattn.engine.work_dir import alone_in
with alone_in(Path(sys.argv[1])):
    print('locked', flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that trains in the folder."""
    (tmp_path / 'run').mkdir()
    process = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(tmp_path / 'run')], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'locked\n'
    yield process
    process.kill()
    process.wait()


def test_a_second_training_is_refused_and_names_the_first(tmp_path: Path, holder) -> None:
    runner = toy_runner(tmp_path)
    with pytest.raises(ConfigError, match=rf'process {holder.pid} on {platform.node()}, since 20\d\d-') as caught:
        runner.train()
    assert str(tmp_path / 'run') in str(caught.value) and '--work-dir' in str(caught.value)
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_a_killed_training_leaves_its_folder_free(tmp_path: Path, holder) -> None:
    holder.kill()
    holder.wait()
    assert (tmp_path / 'run' / LOCK).exists()
    with alone_in(tmp_path / 'run'):
        assert json.loads((tmp_path / 'run' / LOCK).read_text())['process'] == os.getpid()
    assert not (tmp_path / 'run' / LOCK).exists()


def test_an_error_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match='out of memory'), alone_in(tmp_path):
        raise RuntimeError('out of memory')
    with alone_in(tmp_path):
        pass
