"""convert.py and verify_data.py as a user runs them: tables, exit status, and no traceback for what a user can cure."""

import runpy
import subprocess
import sys

import pytest

from tests.conftest import ROOT, shared_path
from tests.datasets.raw import clip, skeleton_text


@pytest.fixture
def tool(monkeypatch, capsys):
    """Run a tool in this process: ``tool('convert.py', ...) -> (status, stdout, stderr)``."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / 'raw'
    folder.mkdir()
    for name in ('S001C001P001R001A001', 'S001C002P003R001A002'):
        (folder / f'{name}.skeleton').write_bytes(skeleton_text(clip(persons=2, joints=25)))
    return folder


def test_convert_then_verify_then_damage(tmp_path, raw, tool):
    status, out, err = tool('convert.py', 'ntu', raw, '--out', tmp_path / 'ntu60')
    assert status == 0, err
    assert ['clips', '2'] in [line.split() for line in out.splitlines()]
    assert '2 clips with 2' in out

    status, out, err = tool('verify_data.py', tmp_path / 'ntu60')
    assert status == 0, err
    rows = [line.split() for line in out.splitlines()]
    assert any(row[:3] == ['xsub', 'by', 'subject'] and row[-2:] == ['1', '1'] for row in rows)
    assert 'is intact' in out

    frames = tmp_path / 'ntu60' / 'frames.npy'
    content = bytearray(frames.read_bytes())
    content[500] ^= 1
    frames.write_bytes(content)
    status, _, err = tool('verify_data.py', tmp_path / 'ntu60')
    assert status == 1
    assert err.startswith('frames.npy: sha256: is damaged')


def test_a_truncated_file_stops_a_strict_conversion(tmp_path, raw):
    """In a process of its own: what a shell sees."""
    (raw / 'S001C003P004R001A002.skeleton').write_bytes(b'7\n')
    command = [sys.executable, ROOT / 'tools' / 'convert.py', 'ntu', raw, '--out', tmp_path / 'ntu60', '--strict']
    stopped = subprocess.run(command, capture_output=True, text=True, check=False)
    assert stopped.returncode == 2
    assert stopped.stderr.startswith('error: ') and 'S001C003P004R001A002.skeleton is truncated' in stopped.stderr
    assert 'Traceback' not in stopped.stderr
    assert not (tmp_path / 'ntu60').exists()


def test_what_is_left_out_stands_in_the_summary(tmp_path, raw, tool):
    (raw / 'S001C003P004R001A002.skeleton').write_bytes(b'7\n')
    status, out, err = tool('convert.py', 'ntu', raw, '--out', tmp_path / 'ntu60')
    assert status == 0, err
    assert 'skipped S001C003P004R001A002' in out


def test_an_existing_set_is_replaced_only_with_overwrite(tmp_path, raw, tool):
    line = ('convert.py', 'ntu', raw, '--out', tmp_path / 'ntu60')
    assert tool(*line)[0] == 0
    status, _, err = tool(*line)
    assert status == 2 and 'pass --overwrite' in err
    assert tool(*line, '--overwrite')[0] == 0


@pytest.mark.parametrize(
    ('name', 'source', 'sizes'),
    [('nwucla', 'nw_ucla.zip', ['1020', '464']), ('utdmhad', 'utd_mhad.zip', ['431', '430'])],
)
def test_the_real_archives_convert_and_verify(tmp_path, tool, name, source, sizes):
    assert tool('convert.py', name, shared_path(f'data/{source}'), '--out', tmp_path / name)[0] == 0
    status, out, err = tool('verify_data.py', tmp_path / name)
    assert status == 0, err
    assert sizes in [line.split()[-2:] for line in out.splitlines()]


def test_verify_names_the_command_for_a_missing_set(tmp_path, tool):
    status, _, err = tool('verify_data.py', tmp_path / 'demo')
    assert status == 2
    assert f'python tools/convert.py synthetic --out {tmp_path / "demo"}' in err


@pytest.mark.parametrize('arguments', [[], ['ntu'], ['ntu', 'raw'], ['bvh', 'raw', '--out', 'x']])
def test_a_wrong_command_line_shows_the_usage(tool, arguments):
    status, _, err = tool('convert.py', *arguments)
    assert status == 2 and err.startswith('usage: convert.py')
