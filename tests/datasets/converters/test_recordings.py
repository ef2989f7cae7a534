"""Raw files read without a conversion hold the clips that a conversion would pack."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from skeattn.channels import AXES
from skeattn.datasets import PackedSet
from skeattn.datasets.converters import openpose, plain, pyskl
from skeattn.datasets.converters.recordings import Described, read_recordings
from skeattn.datasets.synthetic import generate, write_skeleton_file
from skeattn.errors import DataError
from skeattn.skeletons import get_layout
from tests.datasets.raw import body, clip

KINECT, COCO = Described(get_layout('kinect20'), AXES), Described(get_layout('coco17'), ('x', 'y', 'score'))
XYS = ('x', 'y', 'score')


def read(path: Path, described: Described = KINECT) -> dict[str, np.ndarray]:
    return {recording.name: recording.keypoint for recording in read_recordings(path, described)}


def frame(people: list[np.ndarray]) -> str:
    return json.dumps({'people': [{'pose_keypoints_2d': person.ravel().tolist()} for person in people]})


def write_frames(folder: Path, joints: int = 25, frames: int = 3) -> np.ndarray:
    """Frames of the clips a and b; returns clip a, ``(1, T, joints, 3)``."""
    folder.mkdir()
    clips = [clip(seed, 1, frames, joints).round(3) for seed in range(2)]
    for name, keypoint in zip('ab', clips, strict=True):
        for t in range(frames):
            (folder / f'{name}_{t:012d}_keypoints.json').write_text(frame([keypoint[0, t]]))
    return clips[0]


@pytest.mark.parametrize('suffix', ['.npy', '.csv', '.txt', '.json'])
def test_one_file_is_one_clip_whatever_its_name(tmp_path, suffix):
    keypoint = body(0, 1, 5)
    path = tmp_path / f'anything{suffix}'
    if suffix == '.npy':
        np.save(path, keypoint)
    elif suffix == '.json':
        path.write_text(json.dumps(keypoint[0].tolist()))
    else:
        np.savetxt(path, keypoint[0].reshape(5, -1), delimiter=',' if suffix == '.csv' else ' ', fmt='%.9g')
    ((recording),) = read_recordings(path, KINECT)
    np.testing.assert_array_equal(recording.keypoint.astype(np.float32), keypoint)
    assert (recording.name, recording.layout.name, recording.channels) == ('anything', 'kinect20', AXES)


def test_a_skeleton_file_needs_no_name_of_ntu(tmp_path):
    clip = next(iter(generate(3, 1)))
    write_skeleton_file(tmp_path / 'kitchen.skeleton', clip.keypoint)
    ((recording),) = read_recordings(tmp_path / 'kitchen.skeleton', COCO)
    np.testing.assert_allclose(recording.keypoint, clip.keypoint, rtol=1e-5)
    assert (recording.name, recording.layout.name, recording.channels) == ('kitchen', 'ntu25', AXES)


def test_nwucla_is_recognised_by_its_content(tmp_path):
    keypoint = body(0, 1, 4)
    (tmp_path / 'walk.json').write_text(json.dumps({'skeletons': keypoint[0].tolist()}))
    ((recording),) = read_recordings(tmp_path / 'walk.json', COCO)
    np.testing.assert_allclose(recording.keypoint, keypoint)
    assert recording.layout.name == 'kinect20'


def test_a_folder_of_frames_is_as_many_clips_as_it_names_and_equals_its_conversion(tmp_path):
    write_frames(tmp_path / 'poses')
    openpose.convert(tmp_path / 'poses', tmp_path / 'set', labels='none')
    packed, found = PackedSet.open(tmp_path / 'set'), list(read_recordings(tmp_path / 'poses', KINECT))
    assert [recording.name for recording in found] == packed.table['name'].tolist() == ['a', 'b']
    for i, recording in enumerate(found):
        np.testing.assert_array_equal(recording.keypoint, packed.clip(i))
        assert (recording.layout, recording.channels) == (packed.layout, packed.channels)


def test_a_stated_layout_precedes_that_of_the_number_of_joints(tmp_path):
    write_frames(tmp_path / 'poses')
    stated = Described(get_layout('ntu25'), XYS, stated=True)
    assert {recording.layout.name for recording in read_recordings(tmp_path / 'poses', stated)} == {'ntu25'}
    other = Described(get_layout('coco17'), XYS, stated=True)
    assert {recording.layout.name for recording in read_recordings(tmp_path / 'poses', other)} == {'body25'}


def test_a_zip_and_a_folder_with_labels_are_read_as_their_clips(tmp_path):
    folder = tmp_path / 'mine'
    folder.mkdir()
    for name in 'ba':
        np.save(folder / f'{name}.npy', body(ord(name), 1, 4))
    (folder / 'labels.csv').write_text('name,label\na,x\nb,y\n')
    with zipfile.ZipFile(tmp_path / 'mine.zip', 'w') as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    plain.convert(folder, tmp_path / 'set', 'kinect20', labels='none')
    packed = PackedSet.open(tmp_path / 'set')
    for source in (folder, tmp_path / 'mine.zip'):
        found = read(source)
        assert list(found) == packed.table['name'].tolist() == ['a', 'b']
        for i, keypoint in enumerate(found.values()):
            np.testing.assert_array_equal(keypoint, packed.clip(i))


def test_annotations_of_pyskl_are_clips_with_labels(tmp_path):
    rng = np.random.default_rng(0)
    annotations = [
        {
            'frame_dir': f'v{i}',
            'label': i - 1,
            'total_frames': 4 + i,
            'keypoint': rng.uniform(10, 900, (1, 4 + i, 17, 2)).astype(np.float32),
            'keypoint_score': rng.uniform(0.3, 1, (1, 4 + i, 17)).astype(np.float32),
        }
        for i in range(3)
    ]
    (tmp_path / 'mine.pkl').write_bytes(pickle.dumps({'split': {}, 'annotations': annotations}))
    pyskl.convert(tmp_path / 'mine.pkl', tmp_path / 'set', 'coco17')
    packed, found = PackedSet.open(tmp_path / 'set'), list(read_recordings(tmp_path / 'mine.pkl', COCO))
    assert [recording.label for recording in found] == ['', 'class 0', 'class 1']
    for i, recording in enumerate(found):
        np.testing.assert_array_equal(recording.keypoint, packed.clip(i))
        assert recording.channels == packed.channels == XYS


def test_arrays_of_ctrgcn_are_clips_with_labels(tmp_path):
    clips = np.stack([body(i, 2, 5).swapaxes(0, 1).reshape(5, -1) for i in range(3)])
    clips[0, 3:] = 0  # padding
    one_hot = np.eye(2)[[0, 1, 1]]
    np.savez(tmp_path / 'a.npz', x_train=clips[:2], y_train=one_hot[:2], x_test=clips[2:], y_test=one_hot[2:])
    found = list(read_recordings(tmp_path / 'a.npz', KINECT))
    assert [recording.name for recording in found] == ['train_00000', 'train_00001', 'test_00000']
    assert [recording.label for recording in found] == ['class 0', 'class 1', 'class 1']
    assert found[0].keypoint.shape == (2, 3, 20, 3)
    np.testing.assert_array_equal(found[2].keypoint, body(2, 2, 5))


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('absent', None, 'absent does not exist; give a packed set, a file with a clip'),
        ('a.mp4', b'', r"a\.mp4: no format has the suffix '\.mp4'; known: \.skeleton"),
        ('a.npy', b'no array', r'a\.npy: it is no \.npy array'),
        (
            'a.json',
            b'{"people": [{"pose_keypoints_2d": [1, 2, 3, 4, 5, 6]}]}',
            r'a\.json: the clip has 2 joints; state',
        ),
        ('a.csv', b'1,2,3\n4,5,6\n', r'a\.csv: 2 rows of 3 values are no whole number of frames of 20 joints'),
        ('a.skeleton', b'1\n', r'a\.skeleton'),
        ('a.pkl', b'nothing', r'a\.pkl'),
        ('a.npz', b'nothing', r'a\.npz is not an \.npz file'),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)


def test_a_shape_of_other_joints_is_named(tmp_path):
    np.save(tmp_path / 'a.npy', np.ones((4, 17, 3)))
    with pytest.raises(
        DataError, match=r"a\.npy: the clip has the shape \(1, 4, 17, 3\), but layout 'kinect20' has 20"
    ):
        read(tmp_path / 'a.npy')


def test_a_single_file_is_also_converted(tmp_path):
    np.save(tmp_path / 'a.npy', body(0, 1, 4))
    plain.convert(tmp_path / 'a.npy', tmp_path / 'set', 'kinect20', labels='none')
    packed = PackedSet.open(tmp_path / 'set')
    assert packed.table['name'].tolist() == ['a']
    np.testing.assert_array_equal(packed.clip(0), body(0, 1, 4))


@pytest.mark.parametrize(
    ('name', 'content'),
    [('mmpose', [{'frame_id': 0, 'instances': []}]), ('coco', {'images': [], 'annotations': []})],
)
def test_a_format_that_needs_a_conversion_is_named(tmp_path, name, content):
    (tmp_path / 'a.json').write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf'a\.json is a file of the format {name}, .*: skeattn convert {name}'):
        list(read_recordings(tmp_path / 'a.json', KINECT))
