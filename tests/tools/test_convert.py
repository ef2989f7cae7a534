"""convert.py on what people have: persons chosen, clips lost, labels missing, foreign files; one line and a status."""

import numpy as np

from skeattn.commands import convert
from tests.datasets.converters.people import people


def write(folder, clips, table):
    folder.mkdir()
    for name, keypoint in clips.items():
        np.save(folder / f'{name}.npy', keypoint)
    (folder / 'labels.csv').write_text(table)
    return folder


def rows_of(out):
    """The summary as ``{name: value}``."""
    rows = [line.split('  ', 1) for line in out.splitlines()]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}


def test_persons_are_chosen_and_those_left_out_are_counted(tmp_path, tool):
    """Silent truncation: the summary says how many persons were left out."""
    folder = write(tmp_path / 'mine', {'a': people(1, 3, 5, 7)}, 'name,label\na,0\n')
    options = ['--layout', 'kinect20', '--persons', 'track', '--max-persons', '1', '--out', tmp_path / 'out']
    status, out, err = tool('convert.py', 'plain', folder, *options)
    assert status == 0, err
    assert rows_of(out)['persons left out'] == '3' and rows_of(out)['persons kept'] == 'at most 1, by track'


def test_every_format_offers_the_choice_of_persons():
    top = convert.parser()
    subparsers = next(action for action in top._actions if action.choices and not action.option_strings)
    for name, sub in subparsers.choices.items():
        assert {'--persons', '--max-persons'} <= set(sub._option_string_actions) or name == 'synthetic'


def clips_of_two_widths(folder, good, bad):
    clips = {f'c{i}': people(1)[0] for i in range(good)} | {f'd{i}': people(1)[0, :, :17] for i in range(bad)}
    return write(folder, clips, '\n'.join(['name,label', *(f'{name},0' for name in clips)]))


def test_a_conversion_that_loses_clips_does_not_end_well(tmp_path, tool):
    """Kind N5. A conversion may not lose any share in silence: a status, and one line with the commonest reason."""
    folder = clips_of_two_widths(tmp_path / 'mine', 3, 4)
    (folder / 'c2.npy').write_bytes(b'')
    command = ('convert.py', 'plain', folder, '--layout', 'kinect20', '--out', tmp_path / 'out', '--overwrite')
    status, out, err = tool(*command)
    assert status == 1
    assert 'skipped 4 clips, such as d0: ' in out and 'skipped c2: ' in out and rows_of(out)['skipped'] == '5'
    (line,) = err.splitlines()
    assert line.startswith('error: 5 of 7 clips were skipped (71.4 %), more than --allow-skipped 0.02; most often (4)')
    assert 'd0: shape (1, 12, 17, 3) is not (persons, frames, 20 joints, channels)' in line
    assert tool('verify_data.py', tmp_path / 'out')[0] == 0  # written all the same
    assert tool(*command, '--allow-skipped', '0.72')[0] == 0
    status, _, err = tool(*command, '--allow-skipped', '2')
    assert status == 2 and err == 'error: --allow-skipped 2 is no share between 0 and 1\n'


def test_reasons_of_one_kind_are_counted_together_whatever_the_names(tmp_path, tool):
    """The name p is not cut out of .npy."""
    folder = clips_of_two_widths(tmp_path / 'mine', 3, 0)
    (folder / 'labels.csv').write_text('name,label\nc0,0\nc1,0\nc2,0\np,0\nq,0\n')
    status, out, _ = tool('convert.py', 'plain', folder, '--layout', 'kinect20', '--out', tmp_path / 'out')
    assert status == 1 and 'skipped 2 clips, such as p: ' in out


def test_files_that_no_row_names_are_lost_clips(tmp_path, tool):
    folder = clips_of_two_widths(tmp_path / 'mine', 3, 0)
    (folder / 'labels.csv').write_text('name,label\nc0,0\n')
    status, _, err = tool('convert.py', 'plain', folder, '--layout', 'kinect20', '--out', tmp_path / 'out')
    assert status == 1 and 'most often (2), such as c1: ' in err and 'no row of the table of labels names it' in err


def test_a_set_without_labels_says_how_many_clips_it_has(tmp_path, tool):
    """Evaluation's needs are not imposed on pre-training: an empty label is kept and counted."""
    folder = write(tmp_path / 'mine', {'a': people(1), 'b': people(1)}, 'name,label\na,wave\nb,\n')
    status, out, err = tool('convert.py', 'plain', folder, '--layout', 'kinect20', '--out', tmp_path / 'out')
    assert status == 0, err
    assert rows_of(out)['unlabelled'] == '1 clips, for pre-training' and rows_of(out)['classes'] == '1 of 1'
    assert rows_of(out)['splits'] == 'all'
