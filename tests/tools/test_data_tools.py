"""convert.py and verify_data.py as a user runs them: tables, exit status, and no traceback for what a user can cure."""

import json
import subprocess
import sys

import pytest

from skeattn.datasets.converters.source import Source
from tests.conftest import ROOT, shared_path
from tests.datasets.raw import clip, skeleton_text

pytestmark = pytest.mark.slow


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
    assert any(row[:2] == ['xsub', 'subject'] and row[-2:] == ['1', '1'] for row in rows)
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
    assert status == 1 and err.startswith('error: 1 of 3 clips were skipped (33.3 %)')
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
    assert f'skeattn convert synthetic --out {tmp_path / "demo"}' in err


@pytest.mark.parametrize('arguments', [[], ['ntu'], ['ntu', 'raw'], ['fbx', 'raw', '--out', 'x']])
def test_a_wrong_command_line_shows_the_usage(tool, arguments):
    status, _, err = tool('convert.py', *arguments)
    assert status == 2 and err.startswith('usage: convert.py')


def test_the_summary_says_a_shared_reason_once_and_a_subset_plainly(tmp_path, raw, tool):
    missing = ['S001C002P005R002A008', 'S001C002P006R001A008']
    for name in missing:
        (raw / f'{name}.skeleton').write_bytes(b'0\n')
    (raw / 'S001C003P004R001A002.skeleton').write_bytes(b'7\n')
    options = ['--bodies', 'motion', '--jobs', 2, '--allow-skipped', '0.4']
    status, out, err = tool('convert.py', 'ntu', raw, '--out', tmp_path / 'ntu60', *options)
    assert status == 0, err  # clips on the authors' list are not lost
    assert 'skipped 2 clips: listed by the authors of the data set as without a usable skeleton' in out
    assert not any(name in out for name in missing)
    assert ['bodies', 'motion'] in [line.split() for line in out.splitlines()]
    assert ['clips', '2', '56,578', 'differs'] in [line.split() for line in out.splitlines()]
    assert 'This is a part of the data set, 2 of 56,578 clips; setups without a clip: 2-17.' in out


def test_an_interrupt_says_how_to_go_on(tmp_path, raw, tool, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Source, 'read', interrupted)
        status, _, err = tool('convert.py', 'ntu', raw, '--out', tmp_path / 'ntu60')
    assert status == 130 and 'the same command continues with them' in err and 'Traceback' not in err
    assert tool('convert.py', 'ntu', raw, '--out', tmp_path / 'ntu60')[0] == 0


def test_several_sources_are_one_set(tmp_path, raw, tool):
    more = tmp_path / 'more'
    more.mkdir()
    (more / 'S018C001P041R002A061.skeleton').write_bytes(skeleton_text(clip(joints=25)))
    status, out, err = tool('convert.py', 'ntu', raw, more, '--out', tmp_path / 'ntu120')
    assert status == 0, err
    assert ['data', 'set', 'ntu120'] in [line.split() for line in out.splitlines()]
    assert ['clips', '3'] in [line.split() for line in out.splitlines()]


def test_the_benchmark_measures_and_clears_up(tmp_path, tool):
    out, work = tmp_path / 'record.json', tmp_path / 'work'
    work.mkdir()
    status, text, err = tool('analysis_tools/benchmark_ntu.py', '--files', 5, '--folder', work, '--out', out)
    assert status == 0, err
    record = json.loads(out.read_text())
    assert record['files'] == 5 and set(record['runs']) == {'line by line, 1 process', 'convert.py ntu, 1 process'}
    for run in record['runs'].values():
        assert run['files_per_second'] == pytest.approx(5 / run['seconds'])
        assert run['ntu120_seconds'] == pytest.approx(114480 * run['seconds'] / 5)
        assert 0 < run['peak_bytes'] < 2e9
    assert 'line by line, 1 process' in text and '113,945 clips' in text
    assert not list(work.iterdir())
