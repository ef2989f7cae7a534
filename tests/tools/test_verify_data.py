"""verify_data.py: every problem is one line that names clip and field, and the summary says what the set holds."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from skeattn.commands import verify
from skeattn.datasets import PackedWriter
from skeattn.datasets.packed import CHECKSUM, FRAMES, MANIFEST, SAMPLES
from tests.datasets.raw import body as clip
from tests.datasets.raw import write_set
from tests.engine.toy import call

XSUB = {'xsub': {'field': 'subject', 'train': [1, 3]}}


@pytest.fixture
def run(capsys):
    """Run the tool: ``run(folder, ...) -> (status, what it printed, lines on stderr)``."""

    def check(*arguments):
        status = call('verify', *arguments)
        out, err = capsys.readouterr()
        return status, out, err.splitlines()

    return check


@pytest.fixture
def data(tmp_path) -> Path:
    """Six clips, two of each class, subjects 1 2 3 4 1 2, of 4 to 9 frames."""
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', ['a', 'b', 'c'], XSUB) as writer:
        for i in range(6):
            writer.add(f'c{i}', clip(i, 1 + i % 2, 4 + i), label=i % 3, subject=1 + i % 4, camera=i // 3)
        writer.skip('lost', 'no body')
    return tmp_path / 'toy'


def forge(folder: Path, frames=None, **columns) -> None:
    """Change coordinates and columns, and the hashes with them, as a faulty converter would."""
    stored = np.load(folder / FRAMES)
    if frames:
        frames(stored)
        np.save(folder / FRAMES, stored)
    with np.load(folder / SAMPLES) as table:
        np.savez(folder / SAMPLES, **{**table, **{name: np.array(values) for name, values in columns.items()}})
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest['sha256'] = {f: hashlib.sha256((folder / f).read_bytes()).hexdigest() for f in (FRAMES, SAMPLES)}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / CHECKSUM).unlink()


def test_an_intact_set_is_summed_up(data, run):
    status, out, err = run(data)
    assert (status, err) == (0, [])
    lines = [line.split() for line in out.splitlines()]
    assert ['label', '3'] in lines and ['subject', '4'] in lines and ['skipped', '1'] in lines
    assert ['frames', 'min', '/', 'median', '/', 'max', '4', '/', '6.5', '/', '9'] in lines
    assert ['xsub', 'subject', '0', 'subjects,', '2', 'cameras', '0', '3', '3'] in lines
    assert [f'{t}' for t in range(4, 10)] == [line[0] for line in lines if line[1:] == ['1', '#' * 40]]
    assert ['b', '2', '#' * 40] in lines and ['4', '1', '#' * 20] in lines
    assert out.endswith('is intact: hashes, table, coordinates and splits agree\n')


def test_json_says_the_same(data, run):
    status, out, err = run(data, '--json')
    found = json.loads(out)
    assert (status, err, found['problems']) == (0, [], [])
    assert found['clips'] == 6 and found['distinct'] == {'label': 3, 'subject': 4, 'camera': 2}
    assert found['classes'] == {'a': 2, 'b': 2, 'c': 2}
    assert found['subjects'] == {'1': 2, '2': 2, '3': 1, '4': 1}
    assert found['persons'] == {'1': 3, '2': 3}
    sides = {'by': 'subject', 'train': 3, 'test': 3, 'neither': 0, 'shared': {'subject': 0, 'camera': 2}}
    assert found['protocols'] == {'xsub': sides}
    assert found['frames']['counts'] == {str(t): 1 for t in range(4, 10)}


def test_lengths_fall_into_bins_of_whole_frames(tmp_path, run):
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', ['a'], {}) as writer:
        for i, frames in enumerate((3, 4, 5, 40)):
            writer.add(f'c{i}', clip(frames=frames), label=0)
    counts = json.loads(run(tmp_path / 'toy', '--json')[1])['frames']['counts']
    assert (counts['3 to 6'], counts['39 to 42'], sum(counts.values()), len(counts)) == (3, 1, 4, 10)


def nan(frames):
    frames[14 + 3, 7, 1] = np.nan  # c2 starts at row 14


def nobody(frames):
    frames[4:14] = 0  # c1, both persons


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        ({'frames': nan}, 'c2: keypoint: NaN or infinite coordinate at person 0, frame 3, joint left_hand'),
        ({'frames': nobody}, 'c1: keypoint: all zero, no person is present'),
        ({'label': [0, 1, 2, 3, 1, 2]}, 'c3: label: 3 is outside 0..2'),
        ({'label': [-2, 1, 2, 0, 1, 2]}, 'c0: label: -2 is outside 0..2'),
        ({'camera': [0, 1, -7, 0, 1, 0]}, 'c2: camera: -7 is neither a number from 0 nor -1 (unknown)'),
        ({'name': ['c0', 'c0', 'c2', 'c3', 'c4', 'c5']}, 'c0: name: occurs 2 times in the table'),
        ({'name': ['c0', 'lost', 'c2', 'c3', 'c4', 'c5']}, 'lost: name: is listed as skipped, but the set holds it'),
    ],
)
def test_each_problem_is_one_line_with_clip_and_field(data, run, change, problem):
    forge(data, **change)
    status, out, err = run(data)
    assert (status, err) == (1, [problem])
    assert 'is intact' not in out and 'clips by class' in out
    found = json.loads(run(data, '--json')[1])['problems']
    assert [f'{p["where"]}: {p["field"]}: {p["what"]}' for p in found] == [problem]


def test_missing_joints_and_clips_without_label_are_counted(data, run):
    """A missing value is not a broken clip, and an empty label is not a wrong one."""

    def lose(frames):
        frames[14 + 3, 7] = np.nan

    forge(data, frames=lose, label=[-1, 1, 2, 0, 1, 2])
    manifest = json.loads((data / MANIFEST).read_text())
    manifest['counts']['missing'] = 1  # as the writer counts them; a NaN that it did not count is broken
    (data / MANIFEST).write_text(json.dumps(manifest))
    status, out, err = run(data)
    assert (status, err) == (0, [])
    lines = [line.split() for line in out.splitlines()]
    assert ['clips', 'without', 'a', 'label', '1'] in lines
    assert ['missing', 'joints', f'{100 / (60 * 20):.3g}', '%'] in lines
    measures = json.loads(run(data, '--json')[1])['measures']
    assert measures['missing_joints'] == float(f'{1 / (60 * 20):.4g}') and measures['unit'] == 'metres'
    assert measures['unlabelled'] == 1 and measures['empty_classes'] == []
    assert measures['persons_present'] == {'1': 3, '2': 3}


def test_all_problems_are_listed(data, run):
    forge(data, frames=lambda frames: (nan(frames), nobody(frames)), label=[0, 1, 2, 3, 4, 5])
    assert [line.split(':')[0] for line in run(data)[2]] == ['c3', 'c4', 'c5', 'c2', 'c1']


@pytest.mark.parametrize('file', [FRAMES, SAMPLES])
def test_a_flipped_byte_and_a_cut_file_are_problems(data, run, file):
    content = bytearray((data / file).read_bytes())
    content[-5] ^= 1
    (data / file).write_bytes(content)
    status, _, err = run(data)
    assert status == 1 and err[0].startswith(file if file == FRAMES else ('samples.npz', str(data)))
    (data / file).write_bytes(content[: len(content) // 2])
    status, out, err = run(data, '--json')
    assert status == 1 and len(err) == 1 and file in err[0]
    assert json.loads(out)['problems'][0]['field'] == 'set'


def test_a_split_without_one_side_is_a_problem(tmp_path, run):
    status, _, err = run(write_set(tmp_path / 'toy'))
    err = [line for line in err if not line.startswith('warning: ')]
    assert status == 1
    assert len(err) == 1 and 'protocols.xview: ' in err[0] and '(by camera) leaves no training clips' in err[0]


def test_sides_that_share_what_the_split_keeps_apart_are_a_problem(tmp_path, run):
    """A column of the set's own decides who trains, and puts one subject on both sides."""
    splits = {'xsub': {'field': 'side', 'train': [1], 'test': [0]}}
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', ['a'], splits, columns=['side']) as writer:
        for i, (subject, side) in enumerate([(1, 1), (2, 1), (2, 0), (3, 0), (4, -1)]):
            writer.add(f'c{i}', clip(i), label=0, subject=subject, side=side)
    status, out, err = run(tmp_path / 'toy')
    assert (status, err) == (1, ["c1: subject: 2 is in both parts of split 'xsub'"])
    assert ['xsub', 'side', '1', 'subjects', '1', '2', '2'] in [line.split() for line in out.splitlines()]


def test_of_many_classes_the_largest_and_the_smallest_are_shown():
    text = verify.histogram('clips by class', {f'class{i}': i for i in range(60)})
    lines = text.splitlines()
    assert len(lines) == verify.LINES + 2 and lines[13].strip() == '... 36 between'
    assert lines[1].split() == ['class59', '59', '#' * 40] and lines[-1].split() == ['class0', '0']


def test_copies_are_warnings_and_leave_the_set_intact(data, run):
    """Copies across a split and under two labels are listed and counted; the set can still be used."""
    first = np.load(data / FRAMES)[:4]

    def copy(frames):
        frames[-18:] = 0  # c5, both persons: a copy of c0, padded by empty frames
        frames[-7:-3] = first

    forge(data, frames=copy)
    status, out, err = run(data)
    assert status == 0 and len(err) == 2 and out.endswith('splits agree; 2 warnings, see above\n')
    assert err[0].startswith('warning: c5: copy: equals the training clip c0; 1 of 3 test clips of split ')
    assert err[1].startswith("warning: c0: label: 'a', but its copy c5 is 'c'; 1 recordings have several labels")
    assert '2 clips of 1 recordings; 1 test clips of xsub equal a training clip' in out
    found = json.loads(run(data, '--json')[1])
    expected = {'groups': [['c0', 'c5']], 'clips': 2, 'several_labels': 1, 'test_clips': {'xsub': 1}}
    assert found['copies'] == expected and [w['where'] for w in found['warnings']] == ['c5', 'c0']
