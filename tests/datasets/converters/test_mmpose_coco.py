"""Predictions of MMPose and keypoints of COCO: forms, frames, persons, images that are listed elsewhere."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets import PackedSet
from skeattn.datasets.converters import alphapose, coco, mmpose
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import get_layout
from tests.datasets.raw import clip

T = 5
H36M = ('root', 'right_hip', 'right_knee', 'right_foot', 'left_hip', 'left_knee', 'left_foot', 'spine', 'thorax',
        'neck_base', 'head', 'left_shoulder', 'left_elbow', 'left_wrist', 'right_shoulder', 'right_elbow',
        'right_wrist')  # fmt: skip


def detected(seed=0, joints=17, frames=T, D=2):
    """(T, V, D + 1) coordinates and a score."""
    values = clip(seed, 1, frames, joints)[0].astype(float)
    places = values if D == 3 else values[..., :2] * 300
    return np.concatenate([places, values[..., 2:] / 2], axis=-1).round(3)


def instance(pose, **facts):
    return {
        'keypoints': pose[:, :-1].tolist(),
        'keypoint_scores': pose[:, -1].tolist(),
        'bbox': [[0, 0, 9, 9]],
        **facts,
    }


def video(keypoint, form='dict', names=None):
    frames = [{'frame_id': t, 'instances': [instance(pose)]} for t, pose in enumerate(keypoint)]
    meta = {'dataset_name': 'any', 'keypoint_id2name': {str(i): name for i, name in enumerate(names or ())}}
    return frames if form == 'list' else {'meta_info': meta, 'instance_info': frames}


def written(tmp_path, **files):
    folder = tmp_path / 'in'
    folder.mkdir(exist_ok=True)
    for name, value in files.items():
        (folder / f'{name}.json').write_text(json.dumps(value))
    return folder


def converted(module, source, labels='none', **options):
    out = source.parent / 'out'
    module.convert(source, out, labels=labels, overwrite=True, **options)
    return PackedSet.open(out)


@pytest.mark.parametrize('form', ['dict', 'list', 'names'])
def test_mmpose_videos(tmp_path, form):
    keypoint = detected()
    names = get_layout('coco17').joints if form == 'names' else None
    packed = converted(mmpose, written(tmp_path, v=video(keypoint, form, names)))
    assert packed.layout.name == 'coco17' and packed.channels == ('x', 'y', 'score')
    assert packed.table['label'].tolist() == [-1]
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)


def test_mmpose_names_bring_joints_into_order_and_pick_a_part_of_them(tmp_path):
    names = (*get_layout('coco17').joints, *(f'face-{i}' for i in range(6)))[::-1]
    keypoint = detected(joints=23)
    folder = written(tmp_path, v=video(keypoint, names=names))
    packed = converted(mmpose, folder, layout='coco17')
    np.testing.assert_allclose(packed.clip(0)[0], keypoint[:, ::-1][:, :17], rtol=1e-6)
    with pytest.raises(ConfigError, match=r'joints face-5, face-4, face-3, …, which are those of no known layout'):
        converted(mmpose, folder)


@pytest.mark.parametrize('names', [None, H36M])
def test_mmpose_lifted_poses_have_three_coordinates_and_a_score(tmp_path, names):
    keypoint = detected(D=3)
    packed = converted(mmpose, written(tmp_path, v=video(keypoint, names=names)))
    assert packed.layout.name == 'h36m17' and packed.channels == ('x', 'y', 'z', 'score')
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)


def test_mmpose_persons_are_followed_and_frames_without_any_stay(tmp_path):
    one, other = detected(0), detected(1) + np.array([900, 0, 0])
    frames = [
        {'frame_id': 0, 'instances': [instance(one[0], track_id=4), instance(other[0], track_id=7)]},
        {'frame_id': 1, 'instances': []},
        {'frame_id': 3, 'instances': [instance(other[3], track_id=7), instance(one[3], track_id=4)]},
    ]
    packed = converted(mmpose, written(tmp_path, v={'instance_info': frames}), persons='track')
    stored = packed.clip(0)
    assert stored.shape == (2, 4, 17, 3) and not stored[:, 1:3].any()
    np.testing.assert_allclose(stored[:, [0, 3]], [one[[0, 3]], other[[0, 3]]], rtol=1e-6)


def test_mmpose_files_of_images_are_frames(tmp_path):
    keypoint = detected()
    files = {f'v_{t:04d}': [instance(pose)] for t, pose in enumerate(keypoint) if t != 2}
    folder = written(tmp_path, **files)
    (folder / 'notes.txt').write_text('x')
    packed = converted(mmpose, folder)
    assert packed.manifest['notes']['files not read'].startswith('1 .txt ')
    keypoint[2] = 0
    assert packed.table['name'].tolist() == ['v']
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)


def results(keypoint, first=0, **facts):
    return [
        {'image_id': first + t, 'category_id': 1, 'keypoints': pose.ravel().tolist(), 'score': 0.9, **facts}
        for t, pose in enumerate(keypoint)
    ]


def test_coco_results_of_one_clip_a_file(tmp_path):
    keypoint = detected()
    packed = converted(coco, written(tmp_path, v=results(keypoint)))
    assert packed.layout.name == 'coco17' and packed.channels == ('x', 'y', 'score')
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)


@pytest.mark.parametrize('by', ['file_name', 'video_id'])
@pytest.mark.parametrize('beside', [False, True])
def test_coco_images_tell_clip_and_frame(tmp_path, by, beside):
    a, b = detected(0), detected(1)
    images = [
        {'id': 100 + i, 'file_name': f'{name}/{t:06d}.jpg'} if by == 'file_name'
        else {'id': 100 + i, 'file_name': 'x.jpg', 'video_id': 1 + (name == 'b'), 'frame_id': t}
        for i, (name, t) in enumerate([('a', t) for t in range(T)] + [('b', t) for t in range(T)])
    ]  # fmt: skip
    listed = {'images': images, 'videos': [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'b'}]}
    folder = written(tmp_path, r=[*results(a, 100), *results(b, 105)][::-1])
    place = (folder if beside else tmp_path) / 'images.json'
    place.write_text(json.dumps(listed))
    (folder / 'labels.csv').write_text('name,label\nb,clap\na,wave\n')
    packed = converted(coco, folder, labels=None, images=place)
    assert packed.table['name'].tolist() == ['b', 'a'] and packed.classes == ['clap', 'wave']
    np.testing.assert_allclose(packed.clip(0)[0], b, rtol=1e-6)
    np.testing.assert_allclose(packed.clip(1)[0], a, rtol=1e-6)
    assert packed.manifest['skipped'] == []


def test_coco_annotations_hold_their_images(tmp_path):
    keypoint = detected()
    value = {
        'images': [{'id': 7 - t, 'file_name': f'{t:03d}.jpg'} for t in range(T)],
        'annotations': [{**row, 'image_id': 7 - row['image_id'], 'track_id': 3} for row in results(keypoint)],
    }
    packed = converted(coco, written(tmp_path, v=value))
    assert packed.table['name'].tolist() == ['v']
    np.testing.assert_allclose(packed.clip(0)[0], keypoint, rtol=1e-6)


def test_coco_images_that_are_not_listed_are_named(tmp_path):
    folder = written(tmp_path, r=results(detected()))
    (tmp_path / 'images.json').write_text(json.dumps({'images': [{'id': 0, 'file_name': 'a_0.jpg'}]}))
    with pytest.raises(DataError, match=r'r\.json: its image_id 1 is none of the 1 images listed'):
        converted(coco, folder, images=tmp_path / 'images.json')
    (tmp_path / 'images.json').write_text('[]')
    with pytest.raises(DataError, match=r'images\.json: it is no annotation file of COCO'):
        converted(coco, folder, images=tmp_path / 'images.json')
    with pytest.raises(DataError, match=r'none\.json \(--images\) cannot be read'):
        converted(coco, folder, images=tmp_path / 'none.json')


def test_a_file_of_another_format_names_that_format(tmp_path):
    with pytest.raises(DataError, match='it looks like a file of the format mmpose'):
        converted(alphapose, written(tmp_path, v=video(detected())))
    with pytest.raises(DataError, match='it looks like a file of the format alphapose'):
        converted(mmpose, written(tmp_path, v=results(detected())))


@pytest.mark.parametrize('results', [5, None, 'x', {}, {'annotations': 5}])
def test_coco_results_are_a_list(tmp_path, results):
    folder = written(tmp_path, r=results, images={'images': [{'id': 1, 'file_name': 'v/0.jpg'}]})
    with pytest.raises(DataError, match=r'r\.json: it is no file of COCO, a list of results'):
        converted(coco, folder, images=folder / 'images.json')


KEYS = ('instance_info', 'instances', 'keypoints', 'keypoint_scores', 'frame_id', 'meta_info', 'keypoint_id2name',
        'track_id', 'images', 'annotations', 'image_id', 'id', 'file_name', 'videos', 'video_id')  # fmt: skip
JUNK = st.recursive(
    st.none() | st.floats() | st.integers(-2, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=300)
@given(data=st.data())
def test_no_file_of_mmpose_ends_in_anything_but_a_data_error(data):
    good = json.dumps(video(detected(frames=2), names='abcdefghijklmnopq')).encode()
    at, noise = data.draw(st.integers(0, len(good))), data.draw(st.binary(max_size=4))
    mutated = st.sampled_from([good[:at], good[:at] + noise + good[at + len(noise) :]])
    content = data.draw(mutated | JUNK.map(lambda value: json.dumps(value).encode()))
    assert mmpose.is_frame(content) in (False, True)
    try:
        found = mmpose.read_clip([('clip.json', content)])
        assert found.keypoint.shape[3] == len(found.channels)
    except DataError as error:
        assert 'clip.json' in str(error)


@pytest.mark.slow
@settings(max_examples=100)
@given(value=JUNK, images=st.none() | JUNK)
def test_no_file_of_coco_ends_in_anything_but_one_error(tmp_path_factory, value, images):
    folder = written(tmp_path_factory.mktemp('coco'), r=value)
    if images is not None:
        (folder.parent / 'images.json').write_text(json.dumps(images))
    try:
        converted(coco, folder, images=None if images is None else folder.parent / 'images.json')
    except (DataError, ConfigError) as error:
        assert '\n' not in str(error)
