"""Annotation pickles: everything that they hold arrives, comes back bit-equal, and bad annotations are named."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import pyskl
from skeattn.errors import ConfigError, DataError
from tests.datasets.converters.pickles import V, annotation, assert_equal, content, saved
from tests.datasets.raw import clip


def convert(folder, value, **options):
    out = folder / 'packed'
    pyskl.convert(saved(folder, value), out, **{'layout': 'coco17', 'overwrite': True, **options})
    return PackedSet.open(out)


def test_coordinates_scores_and_columns_arrive(tmp_path):
    given = content()
    packed = convert(tmp_path, given)
    assert packed.channels == ('x', 'y', 'score') and packed.layout.name == 'coco17'
    for i, item in enumerate(given['annotations']):
        np.testing.assert_array_equal(packed.clip(i)[..., :2], item['keypoint'])
        np.testing.assert_array_equal(packed.clip(i)[..., 2], item['keypoint_score'])
    assert packed.table['name'].tolist() == [f'clip{i}' for i in range(8)]
    assert packed.table['label'].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert packed.table['img_height'].tolist() == [1080] * 8 and packed.table['img_width'].tolist() == [1920] * 8
    assert packed.classes == ['class 0', 'class 1', 'class 2']


def test_lists_become_protocols_and_clips_in_neither_are_on_no_side(tmp_path):
    packed = convert(tmp_path, content())
    assert [side.tolist() for side in split(packed, 'xsub')] == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert [side.tolist() for side in split(packed, 'xview')] == [[0, 1, 2], [5, 6, 7]]


@pytest.mark.parametrize(
    ('lists', 'protocols'),
    [
        (['train', 'val'], {'split': 'train / val'}),
        (['train', 'val', 'test'], {'split_val': 'train / val', 'split_test': 'train / test'}),
        (['train1', 'test1', 'train2', 'test2'], {'split1': 'train1 / test1', 'split2': 'train2 / test2'}),
        (['xset_train', 'xset_eval'], {'xset': 'xset_train / xset_eval'}),
        (['train', 'mine'], {}),
    ],
)
def test_lists_pair_by_name(tmp_path, lists, protocols):
    value = {'split': {name: [f'clip{i}'] for i, name in enumerate(lists)}, 'annotations': content()['annotations']}
    manifest = convert(tmp_path, value).manifest
    assert manifest['protocols'].keys() == protocols.keys()
    for protocol, made_of in protocols.items():
        assert manifest['notes'][f'lists of {protocol}'] == made_of


@pytest.mark.parametrize('dtype', [np.float16, np.float32])
@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_the_round_trip_is_bit_equal(tmp_path, dtype, protocol):
    given = content(dtype=dtype)
    given['annotations'][3].pop('original_shape')
    pyskl.convert(saved(tmp_path, given, protocol=protocol), tmp_path / 'packed', 'coco17')
    pyskl.export(PackedSet.open(tmp_path / 'packed'), tmp_path / 'back.pkl')
    with open(tmp_path / 'back.pkl', 'rb') as file:
        assert_equal(pickle.load(file), given)
    pyskl.convert(tmp_path / 'back.pkl', tmp_path / 'again', 'coco17')
    for name in ('frames.npy', 'samples.npz'):
        assert (tmp_path / 'again' / name).read_bytes() == (tmp_path / 'packed' / name).read_bytes()


def test_three_dimensions_without_scores_round_trip_with_ntus_own_columns(tmp_path):
    names = [f'S001C{c:03}P{p:03}R001A{a:03}' for c in (1, 2) for p in (1, 3) for a in (1, 60)]
    keys = {'keypoint_score': None, 'img_shape': None, 'original_shape': None}
    given = [
        annotation(i, frame_dir=name, label=int(name[-3:]) - 1, keypoint=clip(i, 2, 6, 25), **keys)
        for i, name in enumerate(names)
    ]
    packed = convert(tmp_path, given, layout='ntu25')
    assert packed.channels == ('x', 'y', 'z')
    assert packed.table['subject'].tolist() == [1, 1, 3, 3] * 2 and packed.table['camera'].tolist() == [1] * 4 + [2] * 4
    assert packed.classes[0] == 'drink water' and len(packed.classes) == 60
    assert split(packed, 'xsub')[0].tolist() == [0, 1, 4, 5] and split(packed, 'xview')[0].tolist() == [4, 5, 6, 7]
    pyskl.export(packed, tmp_path / 'back.pkl')
    with open(tmp_path / 'back.pkl', 'rb') as file:
        back = pickle.load(file)
    assert_equal(back['annotations'], given)
    assert back['split']['xsub_train'] == [names[i] for i in (0, 1, 4, 5)]


@pytest.mark.slow
def test_two_lists_without_splits_are_training_and_test(tmp_path):
    test = saved(tmp_path, [*content()['annotations'][5:], {}], 'test.pkl')
    packed = convert(tmp_path, content()['annotations'][:5], test=test)
    assert [side.tolist() for side in split(packed, 'split')] == [[0, 1, 2, 3, 4], [5, 6, 7]]
    with pytest.raises(ConfigError, match='has splits of its own: xsub_train, xsub_val'):
        convert(tmp_path, content(), test=test)


def test_class_names_come_from_a_file(tmp_path):
    names = tmp_path / 'classes.txt'
    names.write_text('wave\nclap\njump\n')
    assert convert(tmp_path, content(), classes=names).classes == ['wave', 'clap', 'jump']
    names.write_text('wave\nclap\n')
    packed = convert(tmp_path, content(), classes=names)
    assert [skip['name'] for skip in packed.manifest['skipped']] == ['clip2', 'clip5']
    assert 'annotation 2: clip2: label 2 is outside 0..1' in packed.manifest['skipped'][0]['reason']
    names.write_text('wave\nwave\n')
    with pytest.raises(DataError, match=r'classes\.txt should hold one class a line, but line 1'):
        convert(tmp_path, content(), classes=names)


def test_normalising_moves_pixels_to_the_image_and_leaves_what_was_not_detected(tmp_path):
    given = content(dtype=np.float32)
    corners = np.array([[1920, 1080], [0, 1080], [960, 540], [0, 0]], np.float32)
    given['annotations'][0]['keypoint'][0, 0, :4] = corners
    packed = convert(tmp_path, given, normalise=True)
    np.testing.assert_allclose(packed.clip(0)[0, 0, :4, :2], [[1, 0.5625], [-1, 0.5625], [0, 0], [np.nan] * 2])
    scores = given['annotations'][0]['keypoint_score'][0].copy()
    scores[0, 3] = 0
    np.testing.assert_array_equal(packed.clip(0)[0, :, :, 2], scores)
    inside = [annotation(0, coordinates=3, keypoint_score=None), annotation(1, coordinates=1, keypoint_score=None)]
    packed = convert(tmp_path, inside, normalise=True, channels='x,y,score')
    np.testing.assert_array_equal(packed.clip(0)[..., 2], inside[0]['keypoint'][..., 2])
    assert 'clip1: 1 values a joint are no x and y' in packed.manifest['skipped'][0]['reason']
    with pytest.raises(DataError, match='clip0: without img_shape its pixels cannot be normalised'):
        convert(tmp_path, content(img_shape=None), normalise=True, strict=True)
    with pytest.raises(ConfigError, match='is for pixels, but these clips are in 3-D'):
        convert(tmp_path, content(coordinates=3), normalise=True)


BAD = {
    'a dict': (None, 'annotation 1: it is a NoneType, not a dict'),
    'name': (annotation(1, frame_dir=7), 'frame_dir=7 is no name'),
    'unprintable': (annotation(1, frame_dir='a\ud800'), r"frame_dir='a\\ud800' is no name"),
    'label': (annotation(1, label='1'), "clip1: label='1' is no class number"),
    'half a label': (annotation(1, label=0.5), 'clip1: label=0.5 is no class number'),
    'joints': (
        annotation(1, keypoint=np.ones((1, 6, 18, 2)), keypoint_score=np.ones((1, 6, 18))),
        r'\(1, 6, 18, 3\) is not .* 17 joints',
    ),
    'axes': (annotation(1, keypoint=np.ones((6, V, 2))), r'keypoint has the shape \(6, 17, 2\), not'),
    'frames': (annotation(1, total_frames=9), 'total_frames=9, but keypoint has 6 frames'),
    'frames array': (annotation(1, total_frames=np.ones(3)), 'total_frames=array'),
    'no score': (annotation(1, keypoint_score=None), 'clip1: no keypoint_score, unlike the first'),
    'score': (
        annotation(1, keypoint_score=np.ones((1, 6))),
        r'keypoint_score has the shape \(1, 6\), not \(1, 6, 17\)',
    ),
    'third': (annotation(1, coordinates=3), 'clip1: 4 values a joint, the set has 3: x, y, score'),
    'list': (annotation(1, keypoint=[[1, 2]]), r'clip1: keypoint is no array of numbers \(list\)'),
    'text': (annotation(1, keypoint=np.array(['x'])), r'clip1: keypoint is no array of numbers \(<U1\)'),
    'nan': (
        annotation(1, keypoint=np.full((1, 6, V, 2), np.nan)),
        'clip1: no person is present, every value is zero or missing',
    ),
    'large': (annotation(1, keypoint=np.full((1, 6, V, 2), 1e300)), 'clip1: NaN or infinite'),
    'nobody': (annotation(1, persons=0), 'clip1: no person is present'),
    'zero': (
        annotation(1, keypoint=np.zeros((1, 6, V, 2)), keypoint_score=np.zeros((1, 6, V))),
        'clip1: no person is present, every value is zero',
    ),
    'twice': (annotation(0), r'clip0: a clip of this name was added before'),
    'image': (annotation(1, img_shape=(1080,)), r'img_shape=\(1080,\) is not \(height, width\)'),
}


@pytest.mark.parametrize(('bad', 'message'), BAD.values(), ids=BAD)
def test_a_bad_annotation_is_left_out_with_its_reason_or_stops(tmp_path, bad, message):
    given = [annotation(0), bad, annotation(2)]
    packed = convert(tmp_path, given)
    assert packed.table['name'].tolist() == ['clip0', 'clip2']
    ((skip, reason),) = ((skip['name'], skip['reason']) for skip in packed.manifest['skipped'])
    assert f'{tmp_path}/data.pkl, annotation 1: ' in reason
    assert skip not in packed.table['name']
    with pytest.raises(DataError, match=f'annotation 1: .*{message.removeprefix("annotation 1: ")}.*without --strict'):
        convert(tmp_path, given, strict=True)


def test_a_clip_that_a_split_names_and_nothing_holds_is_listed(tmp_path):
    given = content()
    given['split']['xsub_val'].append('lost')
    (skip,) = convert(tmp_path, given).manifest['skipped']
    assert skip['name'] == 'lost' and "split 'xsub_val': there is no annotation of lost" in skip['reason']
    with pytest.raises(DataError, match='no annotation of lost'):
        convert(tmp_path, given, strict=True)


def test_a_clip_on_both_sides_is_refused(tmp_path):
    given = content()
    given['split']['xsub_val'].append('clip0')
    with pytest.raises(DataError, match=r"data\.pkl: clip0 stands in both 'xsub_train' and 'xsub_val'"):
        convert(tmp_path, given)


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (7, 'is no list of annotations'),
        ([], 'is no list of annotations'),
        ({'split': {}}, 'is no list of annotations'),
        ({'split': [], 'annotations': [annotation(0)]}, '"split" is a list, not a dict'),
        ({'split': {'train': 'clip0'}, 'annotations': [annotation(0)]}, "split 'train' is no list of clips"),
        ({'split': {'train': [0]}, 'annotations': [annotation(0)]}, "split 'train' lists something that is no name"),
        ([{}, None], 'none of 2 clips is usable; the first: .*annotation 0: frame_dir=None is no name'),
    ],
)
def test_a_file_of_another_form_is_named_and_nothing_is_written(tmp_path, value, message):
    with pytest.raises(DataError, match=f'data.pkl.* {message}|data.pkl: {message}'):
        convert(tmp_path, value)
    assert [path.name for path in tmp_path.iterdir()] == ['data.pkl']


def test_values_that_need_names_ask_for_them(tmp_path):
    given = [annotation(0, coordinates=4, keypoint_score=None)]
    with pytest.raises(ConfigError, match='keypoint has 4 values a joint: name them, as --channels'):
        convert(tmp_path, given)
    assert convert(tmp_path, given, channels='x, y, score, visible').channels == ('x', 'y', 'score', 'visible')
    with pytest.raises(ConfigError, match='has the channels x, y, score, visible; only a score can be exported'):
        pyskl.export(PackedSet.open(tmp_path / 'packed'), tmp_path / 'back.pkl')


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([annotation(0)[key] for key in ('keypoint', 'keypoint_score')])
    | st.builds(np.zeros, st.lists(st.integers(0, 3), max_size=5), st.sampled_from(['f4', 'f8', 'i8', 'U2', '?'])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200)
@given(changes=st.dictionaries(st.sampled_from(sorted(annotation(0))), VALUES, min_size=1), lists=VALUES)
@pytest.mark.slow
def test_no_content_ends_in_anything_but_a_named_error(tmp_path_factory, changes, lists):
    folder = Path(tmp_path_factory.getbasetemp())
    value = {'split': {'train': lists, 'val': ['clip1']}, 'annotations': [{**annotation(0), **changes}, annotation(1)]}
    for normalise in (False, True):
        try:
            packed = convert(folder, value, normalise=normalise)
            assert len(packed) + len({skip['name'] for skip in packed.manifest['skipped']}) >= 2
        except (DataError, ConfigError) as error:
            assert str(error)
