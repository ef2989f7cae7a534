"""export.py as a user runs it, and the converters of files that users already have, on the command line."""

import pickle

import numpy as np
import pytest

from tests.datasets.converters.pickles import assert_equal, content, saved
from tests.datasets.raw import clip, write_set


def test_a_pickle_goes_in_and_comes_out(tmp_path, tool):
    source, packed, back = saved(tmp_path, content()), tmp_path / 'packed', tmp_path / 'back.pkl'
    status, out, err = tool('convert.py', 'pyskl', source, '--layout', 'coco17', '--out', packed)
    assert status == 0, err
    assert ['channels', 'x,', 'y,', 'score'] in [line.split() for line in out.splitlines()]
    status, out, err = tool('export.py', 'pyskl', packed, '--out', back, '--classes', tmp_path / 'names.txt')
    assert (status, out) == (0, f'wrote {back}: 8 clips, channels x, y, score\n'), err
    assert_equal(pickle.loads(back.read_bytes()), content())
    assert (tmp_path / 'names.txt').read_text() == 'class 0\nclass 1\nclass 2\n'
    status, _, err = tool('export.py', 'pyskl', packed, '--out', back)
    assert status == 2 and 'exists already; choose a different name or pass --overwrite' in err
    assert tool('export.py', 'pyskl', packed, '--out', back, '--overwrite')[0] == 0
    assert tool('verify_data.py', packed)[0] == 0


@pytest.mark.parametrize('format_', ['pyskl', 'onnx'])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, tool, format_):
    (tmp_path / 'file').touch()
    status, _, err = tool('export.py', format_, tmp_path / 'absent', '--out', tmp_path / 'file/x')
    assert status == 2 and 'file/x cannot be written' in err and 'choose another folder' in err


def test_a_damaged_set_is_not_exported(tmp_path, tool):
    frames = write_set(tmp_path / 'toy') / 'frames.npy'
    damaged = bytearray(frames.read_bytes())
    damaged[-1] ^= 1
    frames.write_bytes(damaged)
    status, _, err = tool('export.py', 'pyskl', tmp_path / 'toy', '--out', tmp_path / 'x.pkl')
    assert status == 2 and 'frames.npy is damaged' in err
    assert not (tmp_path / 'x.pkl').exists()


def test_a_hostile_pickle_is_refused_in_one_line(tmp_path, tool):
    (tmp_path / 'evil.pkl').write_bytes(b'cposix\nsystem\n(S"true"\ntR.')
    status, _, err = tool('convert.py', 'pyskl', tmp_path / 'evil.pkl', '--layout', 'coco17', '--out', tmp_path / 'x')
    assert status == 2 and err.startswith('error: ') and 'it holds posix.system' in err and err.count('\n') == 1


@pytest.mark.parametrize('strict', [False, True])
def test_a_table_with_a_bad_row_is_converted_without_it_or_not_at_all(tmp_path, tool, strict):
    folder = tmp_path / 'mine'
    folder.mkdir()
    (folder / 'labels.csv').write_text('name,label,split\na,wave,train\nb,clap,test\nc,clap,test\n')
    for i, name in enumerate('ab'):
        np.save(folder / f'{name}.npy', clip(i)[0])
    options = ['--layout', 'kinect20', '--out', tmp_path / 'out', *(['--strict'] if strict else [])]
    status, out, err = tool('convert.py', 'plain', folder, *options)
    if strict:
        assert status == 2 and 'row 4 of the table: there is no file c.npy' in err and not (tmp_path / 'out').exists()
    else:
        assert status == 1 and 'skipped c: ' in out and 'error: 1 of 3 clips were skipped' in err
        assert tool('verify_data.py', tmp_path / 'out')[0] == 0


def test_a_network_of_a_missing_checkpoint_is_one_line(tmp_path, tool):
    status, _, err = tool('export.py', 'onnx', tmp_path / 'nowhere', '--out', tmp_path / 'x.onnx')
    assert status == 2 and 'no such checkpoint or work_dir; check the path' in err


def test_options_of_networks_are_refused_for_a_set(tmp_path, tool):
    status, _, err = tool('export.py', 'pyskl', tmp_path, '--missing', '--out', tmp_path / 'x.pkl')
    assert status == 2 and '--missing belong to networks: onnx, torch' in err and not (tmp_path / 'x.pkl').exists()
