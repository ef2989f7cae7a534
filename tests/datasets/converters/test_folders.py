"""What people have: output of pose estimators, text with a joint a line, labels beside, names as users write them."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import alphapose, kinetics, mediapipe, openpose, plain
from skeattn.errors import ConfigError, DataError
from tests.datasets.raw import clip

T = 5


def detected(seed=0, joints=17, frames=T):
    """(T, V, 3) x, y in pixels and a score."""
    keypoint = clip(seed, 1, frames, joints)[0].astype(float)
    return np.concatenate([keypoint[..., :2] * 300, keypoint[..., 2:] / 2], axis=-1).round(3)


def persons(*poses, ids=None):
    return [
        {'person_id': [-1 if ids is None else ids[i]], 'pose_keypoints_2d': pose.ravel().tolist()}
        for i, pose in enumerate(poses)
    ]


def write_openpose(folder, name, frames):
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in frames.items():
        path = folder / f'{name}_{number:012d}_keypoints.json'
        path.write_text(json.dumps({'version': 1.3, 'people': people}))


def write_alphapose(path, keypoint, ids=True):
    rows = [
        {'image_id': f'{t}.jpg', 'category_id': 1, 'keypoints': pose.ravel().tolist(), 'score': 2.9}
        | ({'idx': 1} if ids else {})
        for t, pose in enumerate(keypoint)
    ]
    path.write_text(json.dumps(rows))


def labelled(folder, text='name,label,split\nv,wave,train\n'):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'labels.csv').write_text(text)
    return folder


def converted(module, source, **options):
    out = Path(source).parent / 'out'
    module.convert(source, out, overwrite=True, **options)
    return PackedSet.open(out)


@pytest.mark.parametrize(('joints', 'layout'), [(25, 'body25'), (18, 'openpose18'), (17, 'coco17')])
def test_openpose_frames_become_a_clip_and_tell_their_layout(tmp_path, joints, layout):
    folder, keypoint = labelled(tmp_path / 'in'), detected(joints=joints)
    write_openpose(folder, 'v', {t: persons(keypoint[t]) for t in range(T)})
    packed = converted(openpose, folder)
    assert packed.layout.name == layout and packed.channels == ('x', 'y', 'score')
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)
    assert packed.table['name'].tolist() == ['v'] and packed.classes == ['wave']


def test_openpose_frames_without_people_or_files_stay_frames(tmp_path):
    folder, keypoint = labelled(tmp_path / 'in'), detected()
    keypoint[0, 3] = 0  # not detected
    write_openpose(folder, 'v', {10: persons(keypoint[0]), 11: [], 13: persons(np.zeros((17, 3)), keypoint[3])})
    stored = converted(openpose, folder).clip(0)
    assert stored.shape == (1, 4, 17, 3)
    assert stored[0].any(axis=(1, 2)).tolist() == [True, False, False, True]
    assert np.isnan(stored[0, 0, 3, :2]).all() and stored[0, 0, 3, 2] == 0
    np.testing.assert_allclose(stored[0, 3], keypoint[3], rtol=1e-6)


@pytest.mark.parametrize(
    'name', ['v/{:012d}_keypoints.json', 'v/v_{:06d}_keypoints.json', 'v_{}_keypoints.json', 'x/v.{:04d}.json']
)
def test_frames_are_grouped_by_name_or_folder_and_sorted_by_number(tmp_path, name):
    folder, keypoint = labelled(tmp_path / 'in'), detected(frames=12)
    for t in reversed(range(12)):
        path = folder / name.format(t)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({'people': persons(keypoint[t])}))
    np.testing.assert_allclose(converted(openpose, folder).clip(0)[0], keypoint, rtol=1e-6)


@pytest.mark.parametrize('numbered', [True, False])
def test_persons_in_changing_order_are_followed_on_request(tmp_path, numbered):
    folder, one = labelled(tmp_path / 'in'), detected()
    one[:] = one[:1]
    other = one + np.array([900, 0, 0])
    frames = {t: persons(*((one[t], other[t]) if t % 2 else (other[t], one[t])), ids=None) for t in range(T)}
    if numbered:
        for t, people in frames.items():
            people[0]['person_id'], people[1]['person_id'] = ([4], [9]) if t % 2 else ([9], [4])
    write_openpose(folder, 'v', frames)
    packed = converted(openpose, folder, persons='track')
    np.testing.assert_allclose(packed.clip(0), [other, one], rtol=1e-6)
    packed = converted(openpose, folder, persons='track', max_persons=1)
    assert packed.manifest['notes']['persons left out'] == 1
    assert converted(openpose, folder).clip(0)[0, :, 0, 0].std() > 100  # as listed


@pytest.mark.parametrize('form', ['list', 'no idx', 'open', 'cmu'])
def test_alphapose(tmp_path, form):
    folder, keypoint = labelled(tmp_path / 'in'), detected(frames=12)
    keypoint[4, 2] = 0
    if form in ('list', 'no idx'):
        write_alphapose(folder / 'v.json', keypoint, ids=form == 'list')
    else:
        key, inner = ('bodies', 'joints') if form == 'cmu' else ('people', 'pose_keypoints_2d')
        value = {f'{t}.jpg': {'version': 1, key: [{inner: pose.ravel().tolist()}]} for t, pose in enumerate(keypoint)}
        (folder / 'v.json').write_text(json.dumps(value))
    packed = converted(alphapose, folder)
    assert packed.layout.name == 'coco17' and packed.channels == ('x', 'y', 'score')
    keypoint[4, 2, :2] = np.nan
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)


@pytest.mark.parametrize('form', ['list', 'rows', 'dict', 'persons', 'protobuf', 'frames', 'key', 'numbers'])
def test_mediapipe(tmp_path, form):
    folder, keypoint = labelled(tmp_path / 'in'), np.random.default_rng(0).random((T, 33, 4)).round(4) + 0.01
    names = ('x', 'y', 'z', 'visibility')
    frames = [[dict(zip(names, joint, strict=True)) for joint in frame] for frame in keypoint.tolist()]
    frames[2] = None
    value = {
        'list': frames,
        'rows': [None if t == 2 else frame for t, frame in enumerate(keypoint.tolist())],
        'dict': [{'pose_landmarks': frame} for frame in frames],
        'persons': [{'pose_landmarks': [frame] if frame else []} for frame in frames],
        'protobuf': [{'poseLandmarks': frame and {'landmark': frame}} for frame in frames],
        'frames': {'frames': frames},
        'key': {'pose_landmarks': frames},
        'numbers': {str(t): frame for t, frame in enumerate(frames) if frame},
    }[form]
    (folder / 'v.json').write_text(json.dumps(value))
    packed = converted(mediapipe, folder)
    assert packed.layout.name == 'mediapipe33' and packed.channels == names
    keypoint[2] = 0
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)


def test_mediapipe_without_visibility(tmp_path):
    folder = labelled(tmp_path / 'in')
    (folder / 'v.json').write_text(json.dumps([[dict(x=0.5, y=0.1 + j, z=0.2) for j in range(33)]] * T))
    assert converted(mediapipe, folder).channels == ('x', 'y', 'z')


def kinetics_clip(path, keypoint, label='wave', **changes):
    frames = [
        {'frame_index': t + 1, 'skeleton': [{'pose': pose[:, :2].ravel().tolist(), 'score': pose[:, 2].tolist()}]}
        for t, pose in enumerate(keypoint)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({'data': frames, 'label': label, 'label_index': 3, **changes}))


def test_kinetics_labels_and_sides_are_in_its_own_files(tmp_path):
    keypoint = detected(joints=18)
    keypoint[1, 4] = 0
    kinetics_clip(tmp_path / 'in' / 'kinetics_train' / 'a.json', keypoint)
    kinetics_clip(tmp_path / 'in' / 'kinetics_val' / 'b.json', keypoint, label='clap')
    kinetics_clip(tmp_path / 'in' / 'kinetics_val' / 'c.json', keypoint, label=None, label_index=None)
    for side in ('train', 'val'):  # as they come with the clips
        (tmp_path / 'in' / f'kinetics_{side}_label.json').write_text('{"a": {"label": "wave", "label_index": 3}}')
    packed = converted(kinetics, tmp_path / 'in')
    assert packed.manifest['skipped'] == []
    assert packed.layout.name == 'openpose18' and packed.classes == ['clap', 'wave']
    assert packed.table['label'].tolist() == [1, 0, -1]
    assert [side.tolist() for side in split(packed, 'split')] == [[0], [1, 2]]
    keypoint[1, 4, :2] = np.nan
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)
    labelled(tmp_path / 'in', 'name,label\na,7\nb,0\nc,1\n')
    assert converted(kinetics, tmp_path / 'in').table['label'].tolist() == [7, 0, 1]  # a table goes before


@pytest.mark.parametrize('separator', [' ', '\t', ',', ';'])
@pytest.mark.parametrize('suffix', ['txt', 'TXT', 'csv', 'tsv'])
def test_text_with_a_joint_a_line(tmp_path, separator, suffix):
    folder, keypoint = labelled(tmp_path / 'in'), clip(0, 1, T, 20)
    lines = '\n'.join(separator.join(f'{value:.4f}' for value in joint) for joint in keypoint.reshape(-1, 3))
    (folder / f'v.{suffix}').write_text(lines + '\n')
    np.testing.assert_array_equal(converted(plain, folder, layout='kinect20').clip(0), keypoint)


@pytest.mark.parametrize('first', [0, 1])
@pytest.mark.parametrize('index', ['frame', 'joint', 'frame,joint'])
def test_a_joint_a_line_after_its_numbers(tmp_path, index, first):
    folder, keypoint = labelled(tmp_path / 'in'), clip(0, 1, T)
    lines = [f'{index},x,y,z']
    for t, frame in enumerate(keypoint[0]):
        for v, joint in enumerate(frame.tolist()):
            numbers = {'frame': t + first, 'joint': v + first}
            lines.append(','.join(map(repr, [*(numbers[name] for name in index.split(',')), *joint])))
    (folder / 'v.csv').write_text('\n'.join(lines))
    np.testing.assert_array_equal(converted(plain, folder, layout='kinect20').clip(0), keypoint)


def test_joints_in_a_different_order_are_not_taken_for_numbered_ones(tmp_path):
    folder, keypoint = labelled(tmp_path / 'in'), clip(0, 1, T)[0]
    rows = [','.join(map(repr, [19 - v, *joint])) for frame in keypoint.tolist() for v, joint in enumerate(frame)]
    (folder / 'v.csv').write_text('\n'.join(rows))
    with pytest.raises(DataError, match='4 values a frame are no whole number of persons'):
        converted(plain, folder, layout='kinect20')


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('by_joint', [False, True])
def test_lines_may_end_with_a_separator_in_either_encoding(tmp_path, by_joint, encoding):
    folder, keypoint = labelled(tmp_path / 'in'), clip(0, 1, T)
    rows = keypoint.reshape(-1, 3 if by_joint else 60).tolist()
    text = ''.join(','.join(map(repr, row)) + ',\n' for row in rows)
    (folder / 'v.csv').write_text(text, encoding=encoding)
    (folder / 'labels.csv').write_text('name,label\nv,wave\n', encoding=encoding)
    np.testing.assert_array_equal(converted(plain, folder, layout='kinect20').clip(0), keypoint)


def test_an_empty_last_coordinate_after_a_frame_number_stays_a_missing_one(tmp_path):
    """A trailing separator is looked for only where the rows do not fit otherwise."""
    folder, keypoint = labelled(tmp_path / 'in'), clip(0, 1, T)
    rows = [','.join([str(t), *map(repr, frame.ravel().tolist()[:-1]), '']) for t, frame in enumerate(keypoint[0])]
    (folder / 'v.csv').write_text('\n'.join(rows))
    packed = converted(plain, folder, layout='kinect20').clip(0)
    np.testing.assert_array_equal(packed[0, :, :19], keypoint[0, :, :19])
    assert np.isnan(packed[0, :, 19]).all()


def test_rows_after_a_frame_number_and_with_decimal_commas(tmp_path):
    folder, keypoint = labelled(tmp_path / 'in'), clip(0, 2, T, 15)
    rows = keypoint.swapaxes(0, 1).reshape(T, -1)
    lines = [';'.join([str(t + 1), *(f'{value:.4f}'.replace('.', ',') for value in row)]) for t, row in enumerate(rows)]
    (folder / 'v.txt').write_text('\n'.join(lines))
    np.testing.assert_array_equal(converted(plain, folder, layout='sbu15').clip(0), keypoint)


def test_empty_cells_and_frames_are_missing_joints(tmp_path):
    """A missing value is not a broken clip."""
    folder, keypoint = labelled(tmp_path / 'in', 'name,label\nv,0\nw,0\n'), clip(0, 1, T, 20)[0]
    rows = [[f'{value:.4f}' for value in row] for row in keypoint.reshape(T, -1)]
    rows[0], rows[1][3], rows[2][6:9] = [''] * 60, '', ['nan'] * 3
    (folder / 'v.csv').write_text('\n'.join(map(','.join, rows)))
    value = keypoint.tolist()
    value[0], value[1][1][0], value[2][2] = None, None, [None] * 3
    (folder / 'w.json').write_text(json.dumps(value))
    packed = converted(plain, folder, layout='kinect20')
    keypoint[0], keypoint[1, 1], keypoint[2, 2] = 0, np.nan, np.nan
    for i in range(2):
        np.testing.assert_array_equal(packed.clip(i)[0], keypoint)


NAMES = {
    'backslashes': ('day1/c.npy', r'day1\c'),
    'windows': ('day1/c.npy', r'.\day1\c.npy'),
    'suffix': ('day1/c.npy', 'day1/c.npy'),
    'capitals': ('day1/C.NPY', 'day1/c'),
    'video': ('c.npy', 'c.mp4'),
    'end': ('in/day1/c.npy', 'c'),
    'own folder': ('day1/c.npy', 'in/day1/c'),
    'folder of one': ('c/keypoints.npy', 'c'),
    'dots': ('c.v1.npy', 'c.v1'),
    'absolute': ('day1/c.npy', '/data/in/day1/c.npy'),
    'absolute on windows': ('day1/c.npy', r'C:\data\poses\day1\c.npy'),
}


@pytest.mark.parametrize(('file', 'name'), NAMES.values(), ids=NAMES)
@pytest.mark.parametrize('archive', [False, True])
def test_clips_are_found_by_the_names_that_users_write(tmp_path, file, name, archive):
    folder = labelled(tmp_path / 'in', f'name;label\n{name};wave\n')
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    np.save(folder / 'x.npy', clip())
    (folder / 'x.npy').rename(folder / file)
    source = folder
    if archive:
        source = tmp_path / 'in.zip'
        with zipfile.ZipFile(source, 'w') as out:
            for path in folder.rglob('*'):
                out.write(path, path.relative_to(folder))
    packed = converted(plain, source, layout='kinect20')
    np.testing.assert_array_equal(packed.clip(0), clip())
    assert packed.manifest['skipped'] == []


def test_a_zip_may_hold_one_folder_and_its_table_may_lie_beside(tmp_path):
    folder = tmp_path / 'parent'
    folder.mkdir()
    labelled(folder)
    write_alphapose(tmp_path / 'v.json', detected())
    with zipfile.ZipFile(folder / 'clips.zip', 'w') as out:
        out.write(tmp_path / 'v.json', 'poses/v.json')
        out.writestr('__MACOSX/poses/._v.json', b'')
    assert converted(alphapose, folder / 'clips.zip').table['name'].tolist() == ['v']


def test_an_absolute_path_does_not_mean_the_file_of_another_folder(tmp_path):
    """What is left of a path should be the whole name of a clip: day2/c is not day1/c."""
    folder = labelled(tmp_path / 'in', 'name,label\n/data/in/day1/c.npy,a\n/data/in/day2/c.npy,b\n')
    (folder / 'day1').mkdir()
    np.save(folder / 'day1' / 'c.npy', clip())
    packed = converted(plain, folder, layout='kinect20')
    assert len(packed) == 1 and 'there is no file /data/in/day2/c.npy' in packed.manifest['skipped'][0]['reason']


def test_an_archive_may_write_backslashes_between_folders(tmp_path):
    """Names as other systems write them: table, clips and hidden files are found in such an archive, too."""
    keypoint = clip()
    np.save(tmp_path / 'c.npy', keypoint)
    with zipfile.ZipFile(tmp_path / 'in.zip', 'w') as out:
        for name, content in {
            'set\\day1\\c.npy': (tmp_path / 'c.npy').read_bytes(),
            'set\\labels.csv': b'name,label\nday1\\c,wave\n',
            '__MACOSX\\set\\._c.npy': b'junk',
        }.items():
            out.writestr(name, content)
    packed = converted(plain, tmp_path / 'in.zip', layout='kinect20')
    np.testing.assert_array_equal(packed.clip(0), keypoint)
    assert packed.manifest['skipped'] == [] and 'files not read' not in packed.manifest.get('notes', {})


@pytest.mark.parametrize('labels', [np.array([2, 0, 1]), np.array(['c', 'a', 'b']), np.array([[2.0], [0.0], [1.0]])])
def test_labels_beside_in_an_array_go_by_the_order_of_names(tmp_path, labels):
    folder = tmp_path / 'in'
    folder.mkdir()
    for i, name in enumerate(['b', 'a', 'c']):
        np.save(folder / f'{name}.npy', clip(i))
    np.save(folder / 'labels.npy', labels)
    packed = converted(plain, folder, layout='kinect20')
    assert packed.table['name'].tolist() == ['a', 'b', 'c'] and packed.table['label'].tolist() == [2, 0, 1]
    np.save(folder / 'labels.npy', labels[:2])
    with pytest.raises(DataError, match=r'labels.npy holds 2 labels, but there are 3 clips'):
        converted(plain, folder, layout='kinect20')


def test_numbers_of_labels_may_have_a_point_and_headers_capitals(tmp_path):
    folder = labelled(tmp_path / 'in', 'Name\tLabel\tSubject\tSplit\na\t1.0\t2.0\tTrain\nb\t0.0\t1\tValidation\n')
    for i, name in enumerate('ab'):
        np.save(folder / f'{name}.npy', clip(i))
    packed = converted(plain, folder, layout='kinect20')
    assert packed.table['label'].tolist() == [1, 0] and packed.table['subject'].tolist() == [2, 1]
    assert [side.tolist() for side in split(packed, 'split')] == [[0], [1]]


@pytest.mark.parametrize('empty', ['', 'nan', '-1'])
def test_an_empty_label_is_an_unlabelled_clip(tmp_path, empty):
    """Evaluation's needs are not imposed on pre-training."""
    folder = labelled(tmp_path / 'in', f'name,label\na,wave\nb,{empty}\n')
    for i, name in enumerate('ab'):
        np.save(folder / f'{name}.npy', clip(i))
    packed = converted(plain, folder, layout='kinect20')
    assert packed.table['label'].tolist() == [0, -1] and packed.classes == ['wave']
    labelled(tmp_path / 'in', f'name,label,split\na,,train\nb,{empty},train\n')
    packed = converted(plain, folder, layout='kinect20')
    assert packed.table['label'].tolist() == [-1, -1] and packed.classes == []
    assert [side.tolist() for side in split(packed, 'split')] == [[0, 1], []]


def test_without_a_table_every_clip_can_be_an_unlabelled_one(tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    np.save(folder / 'a.npy', clip())
    with pytest.raises(DataError, match=r'labels\.csv cannot be read; .*--labels none for clips without labels'):
        converted(plain, folder, layout='kinect20')
    packed = converted(plain, folder, layout='kinect20', labels='none')
    assert packed.table['label'].tolist() == [-1] and split(packed, 'all')[0].tolist() == [0]


@pytest.mark.parametrize('labels', ['none', 'other.csv'])
def test_a_table_that_is_not_used_is_no_clip(tmp_path, labels):
    """Files beside the clips are no clips: a table of labels, also where an option replaces it."""
    folder = labelled(tmp_path / 'in', 'name,label\na,wave\n')
    np.save(folder / 'a.npy', clip())
    (tmp_path / 'other.csv').write_text('name,label\na,clap\n')
    packed = converted(plain, folder, layout='kinect20', labels=labels if labels == 'none' else tmp_path / labels)
    assert packed.table['name'].tolist() == ['a'] and packed.manifest['skipped'] == []
    assert packed.classes == ([] if labels == 'none' else ['clap'])


def test_without_a_table_messages_name_the_file(tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    for name, joints in (('a', 20), ('b', 17)):
        np.save(folder / f'{name}.npy', clip(joints=joints))
    (skip,) = converted(plain, folder, layout='kinect20', labels='none').manifest['skipped']
    assert skip['reason'].startswith(f'{folder}, b.npy: ') and 'of the table' not in skip['reason']


def test_files_that_are_not_read_are_counted_by_suffix_with_their_format(tmp_path):
    folder = labelled(tmp_path / 'in')
    np.save(folder / 'v.npy', clip())
    for name in ('a.pkl', 'b.PKL', 'c.mat', 'd.png', 'README', 'notes.txt'):
        (folder / name).write_bytes(b'x')
    packed = converted(plain, folder, layout='kinect20')
    assert packed.manifest['notes']['files not read'] == (
        '2 .pkl (format pyskl or, in pairs with arrays, stgcn_arrays), 1 without suffix, 1 .mat (format utdmhad), '
        '1 .png, 1 .txt (format plain, pkummd or that of a small Kinect set)'
    )
    with pytest.raises(DataError, match=r'holds no \.json file of a clip; it holds 2 \.pkl \(format pyskl'):
        converted(openpose, folder)


def test_a_file_of_another_format_names_it(tmp_path):
    folder = labelled(tmp_path / 'in')
    write_alphapose(folder / 'v.json', detected())
    for module, options in ((plain, {'layout': 'coco17'}), (mediapipe, {}), (kinetics, {'labels': 'none'})):
        with pytest.raises(DataError, match='it looks like a file of the format alphapose: skeattn'):
            converted(module, folder, **options)
    write_openpose(tmp_path / 'frames', 'v', {0: persons(detected()[0])})
    labelled(tmp_path / 'frames')
    with pytest.raises(DataError, match='are frames, read by the format openpose'):
        converted(plain, tmp_path / 'frames', layout='coco17')


def test_a_number_of_joints_without_a_layout_asks_for_one(tmp_path):
    folder = labelled(tmp_path / 'in')
    write_alphapose(folder / 'v.json', detected(joints=26))
    with pytest.raises(ConfigError, match=r'the clips have 26 joints; name their layout by --layout'):
        converted(alphapose, folder)


CONTENTS = {
    openpose: json.dumps({'people': persons(detected()[0])}).encode(),
    alphapose: json.dumps([{'image_id': '0.jpg', 'keypoints': [1.0] * 51, 'idx': 1}]).encode(),
    mediapipe: json.dumps([[dict(x=0.5, y=0.5, z=0.0, visibility=0.9)] * 33]).encode(),
    kinetics: json.dumps(
        {'data': [{'frame_index': 1, 'skeleton': [{'pose': [0.5] * 36, 'score': [1] * 18}]}]}
    ).encode(),
}
KEYS = (
    'people', 'pose_keypoints_2d', 'image_id', 'keypoints', 'idx', 'data', 'skeleton', 'pose', 'score', 'x', 'y', 'z',
    'frames', 'pose_landmarks', 'landmark', 'frame_index', 'person_id', 'bodies', 'joints',
)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.floats() | st.integers(-2, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize('value', ['0', ['0'], [['00']], [[[[[0]]]]], [[0.5] * 33]])
def test_text_or_numbers_in_the_place_of_joints_are_a_data_error(value):
    with pytest.raises(DataError, match=r'clip\.json'):
        mediapipe.read_clip([('clip.json', json.dumps(value).encode())])


@pytest.mark.slow
@settings(max_examples=300)
@given(data=st.data(), module=st.sampled_from(list(CONTENTS)))
def test_no_file_ends_in_anything_but_a_data_error(data, module):
    content = CONTENTS[module]
    at = data.draw(st.integers(0, len(content)))
    noise = data.draw(st.binary(max_size=4))
    damaged = st.sampled_from([content[:at], content[:at] + noise + content[at + len(noise) :]])
    junk = JUNK.map(lambda value: json.dumps(value).encode())
    try:
        keypoint, ids = module.read_clip([('clip.json', data.draw(damaged | junk | st.binary(max_size=9)))])
        assert keypoint.ndim == 4 and ids.shape == keypoint.shape[:2]
    except DataError as error:
        assert 'clip.json' in str(error)
