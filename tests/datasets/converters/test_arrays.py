"""Arrays of ST-GCN's followers and of CTR-GCN: clips, sides and padding as stored, and damaged files named."""

import io
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import ctrgcn, stgcn_arrays
from skeattn.errors import DataError
from tests.datasets.raw import clip

PADDED = 30
NAMES = {
    'train': ['S001C002P001R001A001.skeleton', 'S001C003P001R001A002.skeleton', 'S001C001P001R001A003.skeleton'],
    'val': ['S001C002P003R001A001.skeleton', 'S001C001P003R001A002.skeleton'],
}
FRAMES = {'train': [5, PADDED, 7], 'val': [1, 12]}
PERSONS = {'train': [1, 2, 1], 'val': [2, 1]}


def clips(side):
    """``(M, T, 25, 3)`` of a side, all values set."""
    sizes = zip(PERSONS[side], FRAMES[side], strict=True)
    return [clip(i + 10 * (side == 'val'), persons, frames, 25) for i, (persons, frames) in enumerate(sizes)]


def padded(keypoint, frames=PADDED):
    """``(C, T, V, M)`` with empty frames and an empty second person."""
    out = np.zeros((3, frames, 25, 2), np.float32)
    out[:, : keypoint.shape[1], :, : len(keypoint)] = keypoint.transpose(3, 1, 2, 0)
    return out


@pytest.fixture
def stgcn(tmp_path):
    folder = tmp_path / 'xsub'
    folder.mkdir()
    for side in ('train', 'val'):
        np.save(folder / f'{side}_data.npy', np.stack([padded(keypoint) for keypoint in clips(side)]))
        labels = [int(name[17:20]) - 1 for name in NAMES[side]]
        (folder / f'{side}_label.pkl').write_bytes(pickle.dumps((NAMES[side], labels)))
    return folder


def ctrgcn_arrays():
    arrays = {}
    for side, stored in (('train', 'train'), ('test', 'val')):
        rows = [padded(keypoint).transpose(1, 3, 2, 0).reshape(PADDED, 150) for keypoint in clips(stored)]
        arrays[f'x_{side}'] = np.stack(rows)
        arrays[f'y_{side}'] = np.eye(4)[np.arange(len(rows))]
    return arrays


def opened(convert, source, out, **options):
    convert(source, out, **options)
    return PackedSet.open(out)


def test_stage_a_arrays_lose_their_padding_and_nothing_else(stgcn, tmp_path):
    packed = opened(stgcn_arrays.convert, stgcn, tmp_path / 'out', split='xsub')
    for i, keypoint in enumerate(clips('train') + clips('val')):
        np.testing.assert_array_equal(packed.clip(i), keypoint)
    assert packed.table['name'].tolist() == [name.removesuffix('.skeleton') for name in NAMES['train'] + NAMES['val']]
    assert packed.table['label'].tolist() == [0, 1, 2, 0, 1]
    assert packed.table['subject'].tolist() == [1, 1, 1, 3, 3] and packed.table['camera'].tolist() == [2, 3, 1, 2, 1]
    assert [side.tolist() for side in split(packed, 'xsub')] == [[0, 1, 2], [3, 4]]
    assert [side.tolist() for side in split(packed, 'xview')] == [[0, 1, 3], [2, 4]]  # told by the names
    assert packed.classes[0] == 'drink water' and packed.manifest['skipped'] == []


def test_gaps_and_empty_frames_at_the_start_stay(stgcn, tmp_path):
    data = np.load(stgcn / 'train_data.npy')
    data[0, :, [0, 2]] = 0
    np.save(stgcn / 'train_data.npy', data)
    keypoint = opened(stgcn_arrays.convert, stgcn, tmp_path / 'out').clip(0)
    assert keypoint.any(axis=(0, 2, 3)).tolist() == [False, True, False, True, True]


def test_stage_b_arrays_keep_all_their_frames_and_find_labels_elsewhere(stgcn, tmp_path):
    folder = tmp_path / 'frame50'
    folder.mkdir()
    for side in ('train', 'val'):
        np.save(folder / f'{side}_position.npy', np.load(stgcn / f'{side}_data.npy'))
    with pytest.raises(DataError, match=r'frame50/train_label\.pkl cannot be read'):
        stgcn_arrays.convert(folder, tmp_path / 'out')
    packed = opened(stgcn_arrays.convert, folder, tmp_path / 'out', labels=stgcn)
    assert packed.table['frames'].tolist() == [PADDED] * 5 and packed.table['persons'].tolist() == [1, 2, 1, 2, 1]
    assert packed.manifest['notes']['made of'] == 'train_position.npy, val_position.npy'


def test_names_that_are_not_ntus_tell_nothing(stgcn, tmp_path):
    (stgcn / 'train_label.pkl').write_bytes(pickle.dumps([['a', 'b', 'c'], np.array([0, 5, 1])]))
    packed = opened(stgcn_arrays.convert, stgcn, tmp_path / 'out')
    assert packed.table['subject'].tolist() == [-1, -1, -1, 3, 3]
    assert packed.classes == [f'class {i}' for i in range(6)] and set(packed.splits) == {'split'}


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='memory is measured as Linux tells it')
def test_large_arrays_are_mapped_not_loaded(stgcn, tmp_path):
    """A sparse array of 3.6 GB, opened in less than 2 GB of memory."""
    array = np.lib.format.open_memmap(stgcn / 'train_data.npy', 'w+', np.float32, (20000, 3, 300, 25, 2))
    array[0, 0, 0, 0, 0] = array[-1, 0, 0, 0, 0] = 1
    del array
    names = [f'clip{i}' for i in range(20000)]
    (stgcn / 'train_label.pkl').write_bytes(pickle.dumps((names, [0] * len(names))))
    code = f"""
        from skeattn.datasets.converters import stgcn_arrays
        from pathlib import Path
        stgcn_arrays._open(Path({str(stgcn)!r}), 'train', 25)[1][-1].copy()
        status = Path('/proc/self/status').read_text()  # ru_maxrss would count the process that started this one
        print(next(line.split()[1] for line in status.splitlines() if line.startswith('VmHWM')))
    """
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2_000_000  # kB


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda f: (f / 'val_data.npy').unlink(), 'has none of val_data.npy, val_data_joint.npy, val_position.npy'),
        (lambda f: (f / 'train_data.npy').write_bytes(b'no array'), 'train_data.npy is not an array'),
        (lambda f: truncate(f / 'train_data.npy'), 'train_data.npy is not an array, or a damaged or truncated one'),
        (lambda f: np.save(f / 'train_data.npy', np.zeros((3, 3, 5, 17, 2))), r'\(3, 3, 5, 17, 2\), not floats'),
        (lambda f: np.save(f / 'train_data.npy', np.zeros((3, 3, 5, 25))), r'\(3, 3, 5, 25\), not floats'),
        (lambda f: np.save(f / 'train_data.npy', np.array([{}])), 'train_data.npy is not an array'),
        (lambda f: truncate(f / 'train_label.pkl'), 'train_label.pkl is not a pickle'),
        (lambda f: labels(f, (['a'], [0])), 'does not hold the names and labels of 3 clips'),
        (lambda f: labels(f, {'a': 0}), 'train_label.pkl is not a pair of names and labels'),
        (lambda f: labels(f, (['a', 'b', 7], [0, 1, 2])), 'train_label.pkl, clip 2: 7 is not a name'),
        (lambda f: labels(f, (['a', 'b', 'c'], [0, '1', 2])), r"clip 1 \(b\): label '1' is not a class number"),
        (lambda f: labels(f, 7), 'train_label.pkl is not a pair'),
    ],
)
def test_damaged_arrays_and_labels_are_named_and_nothing_is_written(stgcn, tmp_path, damage, message):
    damage(stgcn)
    with pytest.raises(DataError, match=message):
        stgcn_arrays.convert(stgcn, tmp_path / 'out')
    assert [path.name for path in tmp_path.iterdir()] == ['xsub']


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def labels(folder, content):
    (folder / 'train_label.pkl').write_bytes(pickle.dumps(content))


def test_bad_clips_of_arrays_are_left_out_or_stop(stgcn, tmp_path):
    data = np.load(stgcn / 'train_data.npy')
    data[0], data[1, 0, 4, 3, 0] = 0, np.inf
    np.save(stgcn / 'train_data.npy', data)
    labels(stgcn, (['a', 'b', 'S001C002P003R001A001.skeleton'], [0, 1, -2]))
    packed = opened(stgcn_arrays.convert, stgcn, tmp_path / 'out')
    assert packed.table['name'].tolist() == [name.removesuffix('.skeleton') for name in NAMES['val']]
    found = {skip['name']: skip['reason'] for skip in packed.manifest['skipped']}
    assert 'train_data.npy[0]: a: no person is present' in found['a']
    assert 'train_data.npy[1]: b: NaN or infinite coordinate at person 0, frame 4, joint head' in found['b']
    (third,) = found.keys() - {'a', 'b'}
    assert third == 'S001C002P003R001A001 (train_data.npy[2])' and 'label -2 is outside' in found[third]
    with pytest.raises(DataError, match=r'train_data\.npy\[0\]: a: no person is present.*without --strict'):
        stgcn_arrays.convert(stgcn, tmp_path / 'strict', strict=True)


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_ctrgcn_arrays_lose_their_padding_and_nothing_else(tmp_path, save):
    save(tmp_path / 'NTU60_CS.npz', **ctrgcn_arrays())
    packed = opened(ctrgcn.convert, tmp_path / 'NTU60_CS.npz', tmp_path / 'out', split='xsub')
    for i, keypoint in enumerate(clips('train') + clips('val')):
        np.testing.assert_array_equal(packed.clip(i), keypoint)
    expected = ['train_00000', 'train_00001', 'train_00002', 'test_00000', 'test_00001']
    assert packed.table['name'].tolist() == expected
    assert packed.table['label'].tolist() == [0, 1, 2, 0, 1]
    assert packed.classes == ['class 0', 'class 1', 'class 2', 'class 3']  # as many as a row of labels is long
    assert [side.tolist() for side in split(packed, 'xsub')] == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'y_test': None}, 'has no array y_test, but '),
        ({'y_train': np.zeros(3)}, r'y_train has the shape \(3,\), not \(clips, classes\)'),
        ({'y_train': np.eye(2)}, r'x_train has the shape \(3, 30, 150\), not \(2 clips'),
        ({'x_train': np.zeros((3, 150))}, r'x_train has the shape \(3, 150\), not'),
        ({'x_train': np.array(['a'])}, r'x_train holds <U1 \(1,\), not numbers'),
        ({'x_train': np.array([{}])}, 'x_train holds object'),
        ({'x_train': np.ones((3, 5, 149)), 'x_test': np.ones((2, 5, 149))}, '149 values a frame are no whole number'),
    ],
)
def test_another_form_of_ctrgcn_file_is_named(tmp_path, changes, message):
    arrays = {key: value for key, value in {**ctrgcn_arrays(), **changes}.items() if value is not None}
    np.savez(tmp_path / 'file.npz', **arrays)
    with pytest.raises(DataError, match=f'file.npz.*{message}'):
        ctrgcn.convert(tmp_path / 'file.npz', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_bad_clips_of_ctrgcn_are_left_out_or_stop(tmp_path):
    arrays = ctrgcn_arrays()
    arrays['x_train'][0] = 0
    arrays['y_train'][1] = [0, 1, 1, 0]
    np.savez(tmp_path / 'file.npz', **arrays)
    packed = opened(ctrgcn.convert, tmp_path / 'file.npz', tmp_path / 'out')
    assert packed.table['name'].tolist() == ['train_00002', 'test_00000', 'test_00001']
    assert [skip['reason'].split(', ', 1)[1] for skip in packed.manifest['skipped']] == [
        'x_train[0]: train_00000: no person is present, every value is zero or missing',
        'x_train[1]: its row of labels is not one-hot: one 1, else 0',
    ]
    with pytest.raises(DataError, match=r'no person is present.*without --strict'):
        ctrgcn.convert(tmp_path / 'file.npz', tmp_path / 'strict', strict=True)


@pytest.fixture(scope='module')
def archive():
    arrays = {key: value[:, :3] if key.startswith('x') else value for key, value in ctrgcn_arrays().items()}
    files = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, **arrays)
        files.append(stream.getvalue())
    return files


@pytest.mark.slow
@settings(max_examples=150)
@given(data=st.data())
def test_no_damage_to_a_ctrgcn_file_ends_in_anything_but_a_data_error(archive, tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(archive)))
    for _ in range(data.draw(st.integers(1, 3))):
        # Headers and the archive's list at its end are where a byte means most.
        at = data.draw(st.integers(0, 200) | st.integers(len(content) - 300, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))]
    folder = tmp_path_factory.getbasetemp()
    (folder / 'fuzzed.npz').write_bytes(content)
    try:
        ctrgcn.convert(folder / 'fuzzed.npz', folder / 'fuzzed', overwrite=True)
    except DataError as error:
        assert 'fuzzed.npz' in str(error)


@settings(max_examples=150)
@given(at=st.integers(0, 127), value=st.integers(0, 255), keep=st.integers(0, 700))
def test_no_damage_to_an_array_ends_in_anything_but_a_data_error(tmp_path_factory, at, value, keep):
    folder = tmp_path_factory.getbasetemp()
    stream = io.BytesIO()
    np.save(stream, np.ones((1, 3, 1, 25, 2), np.float32))
    content = bytearray(stream.getvalue())
    content[at] = value
    (folder / 'val_data.npy').write_bytes(content[: len(content) - max(0, keep - 600)])
    try:
        stgcn_arrays._open(folder, 'val', 25)
    except DataError as error:
        assert 'val_data.npy' in str(error)
