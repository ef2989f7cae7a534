"""Data sets that a run needs: checked, and generated where nothing has to be downloaded."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from skeattn.datasets.packed import FRAMES
from skeattn.errors import DataError, SkeAttnError
from skeattn.experiments import data
from skeattn.experiments.data import generate_missing, prepare_data
from tests.datasets.raw import write_set


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """What was run; a small set is written in place of what the tool would generate."""
    ran = []

    def run(command: list[str]) -> SimpleNamespace:
        ran.append(command)
        write_set(Path(command[command.index('--out') + 1]), overwrite='--overwrite' in command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(data.subprocess, 'run', run)
    return ran


def test_a_set_that_needs_no_source_is_generated_once_and_again_where_damaged(tmp_path: Path, commands) -> None:
    folder, lines = tmp_path / 'my SOURCE' / 'demo', []
    folder.parent.mkdir()
    for _ in range(2):
        prepare_data(folder, lines.append)
    expected = [sys.executable, str(data.TOOLS / 'convert.py'), 'synthetic', '--out', str(folder), '--overwrite']
    assert commands == [expected]
    assert lines == [f'generating {folder}', f'{folder} is intact', f'{folder} is intact']
    content = bytearray((folder / FRAMES).read_bytes())
    content[-1] ^= 1
    (folder / FRAMES).write_bytes(content)
    prepare_data(folder, lines.append)
    assert commands == [expected] * 2


def test_a_set_that_has_a_source_is_checked_and_never_made(tmp_path: Path, commands) -> None:
    folder = tmp_path / 'ntu60'
    with pytest.raises(DataError, match='no packed set at'):
        prepare_data(folder)
    write_set(folder)
    prepare_data(folder, lambda text: None)
    content = bytearray((folder / FRAMES).read_bytes())
    content[-1] ^= 1
    (folder / FRAMES).write_bytes(content)
    with pytest.raises(DataError, match='damaged'):
        prepare_data(folder)
    assert not commands


def test_a_generator_that_fails_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(data.subprocess, 'run', lambda command: SimpleNamespace(returncode=1))
    with pytest.raises(SkeAttnError, match='demo could not be generated'):
        prepare_data(tmp_path / 'demo', lambda text: None)


def test_a_training_generates_only_what_is_missing_and_needs_no_source(tmp_path: Path, commands) -> None:
    demo = tmp_path / 'data/demo'
    for data_of in (None, {'any': 'thing'}, str(tmp_path / 'nwucla'), [str(tmp_path / 'nwucla')]):
        generate_missing(data_of)
    assert commands == [] and not demo.parent.exists()
    generate_missing([str(demo), str(tmp_path / 'nwucla')])
    generate_missing(str(demo))
    assert [command[command.index('--out') + 1] for command in commands] == [str(demo)]
