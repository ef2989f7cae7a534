"""Raw NTU text: parsed as released, damaged files named, nothing half-written."""

import re
import zipfile

import numpy as np
import pytest

from skeattn.datasets import PackedSet, PackedWriter, split
from skeattn.datasets.converters.bodies import file_order
from skeattn.datasets.converters.ntu import PUBLISHED, compare_with_published, convert
from skeattn.datasets.converters.ntu_text import read_bodies
from skeattn.datasets.converters.source import bundled
from skeattn.datasets.splits import SPLITS
from skeattn.errors import ConfigError, DataError
from tests.conftest import shared_path
from tests.datasets.raw import clip, skeleton_text

NAME = 'S017C002P034R001A060'
TEXT = skeleton_text(clip(persons=2, frames=3, joints=25))


def write(folder, names, **kwargs):
    folder.mkdir(exist_ok=True, parents=True)
    for seed, name in enumerate(names):
        (folder / f'{name}.skeleton').write_bytes(skeleton_text(clip(seed, joints=25), **kwargs))
    return folder


def read_file(path, content):
    return file_order(read_bodies(path, content))


def test_the_released_files_give_the_released_coordinates_and_splits(tmp_path):
    golden = np.load(shared_path('golden/preprocess_case.npz'))
    names = [str(name).removesuffix('.skeleton') for name in golden['names']]
    for i, name in enumerate(names):
        (tmp_path / f'{name}.skeleton').write_bytes(golden[f'text{i}'].tobytes())
    convert(tmp_path, tmp_path / 'ntu60')
    packed = PackedSet.open(tmp_path / 'ntu60')
    assert packed.table['name'].tolist() == names
    assert packed.table['label'].tolist() == golden['labels_in_pickle'].tolist()
    assert packed.table['frames'].tolist() == golden['num_frames'].tolist()
    for i in range(len(packed)):
        stored = packed.clip(i)
        M, T = stored.shape[:2]
        expected = golden['raw_xyz'][i].transpose(3, 1, 2, 0)
        np.testing.assert_array_equal(stored, expected[:M, :T].astype(np.float32))
        assert not expected[M:].any() and not expected[:, T:].any()
    train, test = split(packed, 'xview')
    assert [f'{names[i]}.skeleton' for i in train] == golden['split_xview_train'].tolist()
    assert [f'{names[i]}.skeleton' for i in test] == golden['split_xview_val'].tolist()
    in_xsub = np.isin(packed.table['subject'], packed.splits['xsub']['train'])
    assert [f'{names[i]}.skeleton' for i in np.flatnonzero(in_xsub)] == golden['split_xsub_train'].tolist()


@pytest.mark.parametrize('newline', ['\n', '\r\n'])
def test_raw_to_packed_to_raw(tmp_path, newline):
    keypoint = clip(persons=2, frames=5, joints=25)
    keypoint[1, 3:] = 0
    text = skeleton_text(keypoint, newline)
    (tmp_path / f'{NAME}.skeleton').write_bytes(text)
    convert(tmp_path, tmp_path / 'packed')
    stored = PackedSet.open(tmp_path / 'packed').clip(0)
    np.testing.assert_array_equal(stored, keypoint)
    assert skeleton_text(stored, newline) == text


def test_the_name_tells_the_columns(tmp_path):
    convert(write(tmp_path / 'raw', [NAME]), tmp_path / 'packed')
    packed = PackedSet.open(tmp_path / 'packed')
    row = {column: packed.table[column][0].item() for column in ('label', 'setup', 'camera', 'subject', 'replication')}
    assert row == {'label': 59, 'setup': 17, 'camera': 2, 'subject': 34, 'replication': 1}
    assert packed.manifest['dataset'] == 'ntu60' and len(packed.classes) == 60
    assert set(packed.splits) == {'xsub', 'xview'}
    assert packed.classes[0] == 'drink water' and packed.classes[59] == 'walking apart'


def test_bodies_are_taken_in_file_order_and_the_third_is_dropped():
    keypoint = clip(persons=3, frames=2, joints=25)
    keypoint[0, 1] = 0  # in frame 1 the second body is listed first
    stored = read_file('f', skeleton_text(keypoint))
    assert stored.shape == (2, 2, 25, 3)
    np.testing.assert_array_equal(stored[:, 0], keypoint[:2, 0])
    np.testing.assert_array_equal(stored[:, 1], keypoint[1:, 1])


def test_empty_frames_stay_and_more_than_300_frames_are_kept():
    keypoint = clip(frames=310, joints=25)
    keypoint[0, :4] = 0
    np.testing.assert_array_equal(read_file('f', skeleton_text(keypoint)), keypoint)


def test_clips_on_the_authors_list_are_skipped_and_named(tmp_path):
    missing = bundled('ntu60_missing.txt')[0]
    convert(write(tmp_path / 'raw' / 'deep', [missing, NAME]), tmp_path / 'packed')
    packed = PackedSet.open(tmp_path / 'packed')
    assert packed.table['name'].tolist() == [NAME]
    assert packed.manifest['skipped'][0]['name'] == missing


def test_the_lists_are_the_published_ones():
    ntu60, ntu120 = bundled('ntu60_missing.txt'), bundled('ntu120_missing.txt')
    assert (len(set(ntu60)), len(set(ntu120))) == (302, 535)
    assert set(ntu60) < set(ntu120)
    assert len(set(bundled('ntu_actions.txt'))) == 120
    assert shared_path('data/ntu/NTU_RGBD_missing.txt').read_text().split() == ntu60
    assert shared_path('data/ntu/NTU_RGBD120_missing.txt').read_text().split() == ntu120


def test_the_data_set_follows_from_the_actions_unless_named(tmp_path):
    raw = write(tmp_path / 'raw', [NAME, 'S018C001P041R002A061'])
    convert(raw, tmp_path / 'ntu120')
    packed = PackedSet.open(tmp_path / 'ntu120')
    assert packed.manifest['dataset'] == 'ntu120' and len(packed.classes) == 120
    assert set(packed.splits) == {'xsub', 'xset', 'camera'}
    assert split(packed, 'xset')[0].tolist() == [1]  # setup 18 is even
    convert(raw, tmp_path / 'ntu60', dataset='ntu60')
    assert PackedSet.open(tmp_path / 'ntu60').table['name'].tolist() == [NAME]
    with pytest.raises(ConfigError, match="dataset='ntu'"):
        convert(raw, tmp_path / 'x', dataset='ntu')
    with pytest.raises(ConfigError, match="bodies='best'"):
        convert(raw, tmp_path / 'x', bodies='best')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', r'A060.skeleton is empty'),
        (b' \r\n', r'A060.skeleton is empty'),
        (TEXT[: len(TEXT) // 2], r'A060.skeleton is truncated: it ends in frame 2 of 3, body 1'),
        (TEXT.replace(b'2\n7205', b'two\n7205', 1), r'line 2: two is not a number of bodies in frame 1 of 3'),
        (TEXT.replace(b'\n25\n', b'\n24\n', 1), r'A060.skeleton, line 4: 24 joints in frame 1 of 3, not 25'),
        (TEXT + b'0.5\n', r'A060.skeleton, line 167: 1 value\(s\) after the last of 3 frames'),
        (b'-1\n', r'line 1: -1 is not a number of frames'),
        (b'1.5\n', r'line 1: 1.5 is not a number of frames'),
        (b'2\n0\n0\n', r'no body in any of the 2 frames'),
        (b'1\n1\n', r'truncated: line 2 announces 1 bodies in frame 1 of 1, more than follow'),
        (b'1\n1\n7205 0 1\n', r'truncated: it ends before the number of joints in frame 1 of 1'),
        (b'\xff\xfe1\n', r'line 1: not a number'),
        (b'1e9\n', r'line 1: 1e9 is not a number of frames'),
        (b'nan\n', r'line 1: nan is not a number of frames'),
        (
            skeleton_text(clip(joints=25) * [1, np.nan, 1]),
            r'line 5: nan is not a coordinate, which must be a finite number',
        ),
        (skeleton_text(clip(joints=25).astype(float) * 1e60), r'line 5: \S+e\+(59|60) is not a coordinate'),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_written(tmp_path, content, message):
    raw = write(tmp_path / 'raw', ['S001C001P001R001A001'])
    (raw / f'{NAME}.skeleton').write_bytes(content)
    with pytest.raises(DataError, match=f'(?s){message}.*--strict'):
        convert(raw, tmp_path / 'packed', strict=True)
    assert not (tmp_path / 'packed').exists()
    convert(raw, tmp_path / 'packed')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['packed', 'raw']
    packed = PackedSet.open(tmp_path / 'packed')
    assert packed.table['name'].tolist() == ['S001C001P001R001A001']
    assert [skip['name'] for skip in packed.manifest['skipped']] == [NAME]


def test_a_foreign_name_and_a_copy_in_a_subfolder_are_named(tmp_path):
    raw = write(tmp_path / 'raw', ['walking'])
    with pytest.raises(DataError, match=r'walking\.skeleton: the name is not of the form SsssCcccPpppRrrrAaaa'):
        convert(raw, tmp_path / 'packed')
    (raw / 'walking.skeleton').unlink()
    write(raw, [NAME])
    write(raw / 'copy', [NAME])
    with pytest.raises(DataError, match=f'{NAME}: a clip of this name was added before'):
        convert(raw, tmp_path / 'packed', strict=True)


def test_a_source_that_is_missing_empty_or_no_archive_is_named(tmp_path):
    with pytest.raises(DataError, match='nowhere does not exist'):
        convert(tmp_path / 'nowhere', tmp_path / 'packed')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match=r'empty holds no \.skeleton file'):
        convert(tmp_path / 'empty', tmp_path / 'packed')
    (tmp_path / 'file.zip').write_bytes(b'no archive')
    with pytest.raises(DataError, match=r'file\.zip is neither a folder nor a readable zip archive'):
        convert(tmp_path / 'file.zip', tmp_path / 'packed')


def test_a_zip_gives_the_same_set_as_the_folder_and_its_damage_is_noticed(tmp_path):
    raw = write(tmp_path / 'raw', [NAME, 'S001C001P001R001A001'])
    archive = tmp_path / 'raw.zip'
    with zipfile.ZipFile(archive, 'w') as zipped:
        for file in sorted(raw.iterdir(), reverse=True):
            zipped.write(file, f'nturgb+d_skeletons/{file.name}')
            zipped.writestr(f'__MACOSX/nturgb+d_skeletons/._{file.name}', b'shadow')
    convert(raw, tmp_path / 'a')
    convert(archive, tmp_path / 'b')
    for file in (tmp_path / 'a').iterdir():
        assert (tmp_path / 'b' / file.name).read_bytes() == file.read_bytes()
    content = bytearray(archive.read_bytes())
    content[300] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r'cannot be read|damaged'):
        convert(archive, tmp_path / 'c', strict=True)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('S001C001P001R001A000', r'action 0 is outside 1\.\.120'),
        ('S001C001P001R001A121', r'action 121 is outside 1\.\.120'),
        ('S001C004P001R001A001', r'camera 4 is none of 1, 2, 3'),
        ('S001C001P001R001A01', r'not of the form SsssCcccPpppRrrrAaaa'),
        ('S001C001P001R001A001 (1)', r'not of the form SsssCcccPpppRrrrAaaa'),
        ('S001C001P001R001A٠٠١', r'not of the form SsssCcccPpppRrrrAaaa'),
    ],
)
def test_a_wrong_name_is_left_out_and_decides_nothing(tmp_path, name, message):
    convert(write(tmp_path / 'raw', [NAME, name]), tmp_path / 'packed')
    packed = PackedSet.open(tmp_path / 'packed')
    assert packed.manifest['dataset'] == 'ntu60'
    assert packed.table['name'].tolist() == [NAME]
    (skip,) = packed.manifest['skipped']
    assert skip['name'] == name and re.search(message, skip['reason'])


def test_the_published_counts_are_those_of_the_files_and_lists():
    """56,880 and 114,480 files without the authors' lists; each split shares out all clips."""
    assert PUBLISHED['ntu60']['clips'] == 56880 - len(bundled('ntu60_missing.txt'))
    assert PUBLISHED['ntu120']['clips'] == 114480 - len(bundled('ntu120_missing.txt'))
    for counts in PUBLISHED.values():
        splits = [sides for what, sides in counts.items() if what != 'clips']
        assert len(splits) == 2 and {sum(sides) for sides in splits} == {counts['clips']}


def named(setups, actions, missing):
    """A set of one-frame clips of the right names: each setup, camera, subject and action."""
    for setup in setups:
        for camera in (1, 2, 3):
            for action in actions:
                name = f'S{setup:03d}C{camera:03d}P{setup:03d}R001A{action:03d}'
                if name not in missing:
                    yield name, {'setup': setup, 'camera': camera, 'subject': setup, 'label': action - 1}


def packed_set(out, dataset, setups, actions):
    missing = set(bundled(f'{dataset}_missing.txt'))
    with PackedWriter(out, dataset, 'ntu25', [str(i) for i in range(120)], SPLITS[dataset]) as writer:
        for name, columns in named(setups, actions, missing):
            writer.add(name, np.ones((1, 1, 25, 3)), **columns)
    return PackedSet.open(out)


def test_a_subset_is_told_beside_the_published_counts(tmp_path):
    """One of the two archives of NTU-120 forgotten: what is there, what should be, which setups are absent."""
    packed = packed_set(tmp_path / 'ntu120', 'ntu120', range(1, 18), range(1, 3))
    clips, even = len(packed), int((packed.table['setup'] % 2 == 0).sum())
    told = compare_with_published(packed)
    rows = [line.split('  ') for line in told.splitlines()]
    found = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}
    assert found['clips'] == [str(clips), '113,945', 'differs']
    assert found['xset'] == [f'{even} / {clips - even}', '54,468 / 59,477', 'differs']
    assert told.splitlines()[-1] == (
        f'This is a part of the data set, {clips} of 113,945 clips; setups without a clip: 18-32.'
    )


def test_a_whole_set_is_as_published(tmp_path, monkeypatch):
    packed = packed_set(tmp_path / 'ntu60', 'ntu60', [*range(1, 4), *range(5, 18)], [1])
    assert compare_with_published(packed).endswith('setups without a clip: 4.')
    trains = int(np.isin(packed.table['subject'], SPLITS['ntu60']['xsub']['train']).sum())
    counts = {'clips': len(packed), 'xsub': (trains, len(packed) - trains), 'xview': (32, 16)}
    monkeypatch.setitem(PUBLISHED, 'ntu60', counts)
    told = compare_with_published(packed)
    assert told.count('as published') == 3 and 'differs' not in told and 'part of' not in told
    monkeypatch.setitem(PUBLISHED, 'ntu60', {**counts, 'clips': len(packed) - 1})
    assert compare_with_published(packed).endswith('These are not the published counts.')
