"""convert.py on what people have: persons chosen, clips lost, labels missing, foreign files; one line and a status."""

import numpy as np

from tests.datasets.converters.people import people
from tests.engine.toy import tool as load


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
    top = load('convert').parser()
    subparsers = next(action for action in top._actions if action.choices and not action.option_strings)
    for name, sub in subparsers.choices.items():
        assert {'--persons', '--max-persons'} <= set(sub._option_string_actions) or name == 'synthetic'
