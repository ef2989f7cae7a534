"""Data of one's own: every shape and format of a clip, the table, and errors that name file and row."""

import io
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skeattn.channels import AXES
from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import plain
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import LAYOUTS
from tests.datasets.raw import clip

V = 20
TABLE = 'name,label,subject,split\na,wave,1,train\nb,clap,2,test\nc,wave,3,train\n'


def csv_of(keypoint, header='', separator=','):
    T = keypoint.shape[1]
    rows = keypoint.swapaxes(0, 1).reshape(T, -1)
    return '\n'.join([*([header] if header else []), *(separator.join(map(repr, row.tolist())) for row in rows), ''])


def write(folder, name, keypoint, form):
    """One clip in one of the forms that are read."""
    T = keypoint.shape[1]
    path, kind = folder / name, form.split()[0]
    path.parent.mkdir(exist_ok=True)
    shapes = {'one': keypoint[0], 'persons': keypoint, 'rows': keypoint.swapaxes(0, 1).reshape(T, -1)}
    if kind == 'npy':
        np.save(path.with_name(path.name + '.npy'), shapes[form.split()[1]])
    elif kind == 'json':
        path.with_name(path.name + '.json').write_text(json.dumps(shapes[form.split()[1]].tolist()))
    elif form == 'csv header':
        path.with_name(path.name + '.csv').write_text(csv_of(keypoint, 'x;y', ';'))
    else:
        path.with_name(path.name + '.csv').write_text(csv_of(keypoint))


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / 'mine'
    source.mkdir()
    (source / 'labels.csv').write_text(TABLE)
    for i, name in enumerate('abc'):
        write(source, name, clip(i), 'npy one')
    return source


def converted(folder, **options):
    plain.convert(folder, folder.parent / 'out', **{'layout': 'kinect20', 'overwrite': True, **options})
    return PackedSet.open(folder.parent / 'out')


def test_the_table_tells_labels_columns_and_sides(folder):
    (folder / 'labels.csv').write_text(
        'name, label ,subject,camera,split,split_xview,age,note\n'
        'a,wave,1,2,train,val,31,left handed\nb,clap,2,,test,train,,\nc,wave,3,1,,,44,\n'
    )
    packed = converted(folder)
    assert packed.table['name'].tolist() == ['a', 'b', 'c'] and packed.classes == ['clap', 'wave']
    assert packed.table['label'].tolist() == [1, 0, 1]
    assert packed.table['subject'].tolist() == [1, 2, 3] and packed.table['camera'].tolist() == [2, -1, 1]
    assert packed.table['age'].tolist() == [31, -1, 44] and 'note' not in packed.table
    assert [side.tolist() for side in split(packed, 'split')] == [[0], [1]]
    assert [side.tolist() for side in split(packed, 'xview')] == [[1], [0]]
    for i in range(3):
        np.testing.assert_array_equal(packed.clip(i), clip(i))


FORMS = ['npy one', 'npy persons', 'npy rows', 'json one', 'json persons', 'json rows', 'csv', 'csv header']


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('persons', [1, 2])
def test_every_form_of_a_clip_arrives(folder, form, persons):
    if form.endswith('one') and persons == 2:
        return
    (folder / 'a.npy').unlink()
    write(folder, 'a', clip(7, persons, 5), form)
    np.testing.assert_array_equal(converted(folder).clip(0), clip(7, persons, 5))


@pytest.mark.parametrize('step', [1, 2, 33.4, 0.04], ids=['numbers', 'every second', 'milliseconds', 'seconds'])
@pytest.mark.parametrize('rows', ['a frame', 'a joint', 'a numbered joint'])
def test_nobody_is_in_frames_whose_numbers_are_left_out(rows, step):
    whole = clip(7, 1, 30)
    there = np.r_[0:10, 14:20, 21:30]
    table = whole[0, there].reshape(len(there), -1)
    numbers = 5 + step * there[:, None] + (0.1 * step * (there % 3))[:, None] * (step > 2)
    if rows != 'a frame':
        table, numbers = whole[0, there].reshape(-1, 3), np.repeat(numbers, V, axis=0)
    joints = [np.tile(np.arange(V), len(there))[:, None]] * (rows == 'a numbered joint')
    text = '\n'.join(','.join(map(repr, row)) for row in np.concatenate([numbers, *joints, table], axis=1).tolist())
    whole[0, np.setdiff1d(np.arange(30), there)] = 0
    np.testing.assert_array_equal(plain.parse('a.csv', text.encode(), V), whole)


def test_numbers_that_leave_nearly_every_frame_out_are_refused():
    rows = np.concatenate([[[0], [1], [900]], clip(7, 1, 3)[0].reshape(3, -1)], axis=1)
    text = '\n'.join(','.join(map(repr, row)) for row in rows.tolist())
    with pytest.raises(DataError, match='frame numbers go from 0 to 900, but there are 3 frames'):
        plain.parse('a.csv', text.encode(), V)


def test_null_stands_for_a_joint_a_person_or_a_frame():
    whole = clip(7, 2, 5).astype(np.float64)
    value = whole.tolist()
    value[0][1][3] = None
    value[1][2] = None
    value[0][4] = [None] * V
    value[1][0][0][1] = None
    whole[0, 1, 3] = whole[1, 2] = whole[0, 4] = whole[1, 0, 0, 1] = np.nan
    np.testing.assert_array_equal(plain.parse('a.json', json.dumps(value).encode(), V), whole)


@pytest.mark.parametrize('form', FORMS)
def test_two_dimensions_with_scores_are_named(folder, form):
    for i, name in enumerate('abc'):
        (folder / f'{name}.npy').unlink()
        write(folder, name, clip(i, 1, 5), form)
    packed = converted(folder, channels='x,y,score')
    assert packed.channels == ('x', 'y', 'score')
    np.testing.assert_array_equal(packed.clip(1), clip(1, 1, 5))


def test_json_with_scores_beside(folder):
    for i, name in enumerate('abc'):
        (folder / f'{name}.npy').unlink()
        whole = {'keypoint': clip(i)[..., :2].tolist(), 'keypoint_score': clip(i)[..., 2].tolist()}
        (folder / f'{name}.json').write_text(json.dumps(whole))
    packed = converted(folder, channels=['x', 'y', 'score'])
    np.testing.assert_array_equal(packed.clip(2), clip(2))
    with pytest.raises(DataError, match=r'a\.json: it has a "keypoint_score".*--channels x,y,score'):
        converted(folder, strict=True, overwrite=True)  # as x, y, z the score would be a depth


def test_folders_within_and_names_with_suffixes(folder):
    (folder / 'labels.csv').write_text('name,label\nday1/a,3\nb.npy,0\n')
    write(folder, 'day1/a', clip(9), 'npy one')
    packed = converted(folder)
    assert packed.table['name'].tolist() == ['day1/a', 'b.npy'] and packed.table['label'].tolist() == [3, 0]
    np.testing.assert_array_equal(packed.clip(0), clip(9))
    assert packed.classes == ['class 0', 'class 1', 'class 2', 'class 3']
    assert [skip['name'] for skip in packed.manifest['skipped']] == ['a', 'c']
    assert 'a.npy: no row of' in packed.manifest['skipped'][0]['reason']


def test_a_layout_of_ones_own_is_read_from_json_and_stored_with_the_set(folder):
    layout = {
        'name': 'stick', 'joints': ['hip', 'head', 'left', 'right'], 'parents': ['hip', 'hip', 'head', 'head'],
        'mirror': [['left', 'right']], 'parts': {'trunk': ['hip', 'head'], 'arms': ['left', 'right']}, 'hip': 'hip',
        'spine': ['hip', 'head'], 'shoulders': ['left', 'right'],
    }  # fmt: skip
    (folder / 'layout.json').write_text(json.dumps(layout))
    for i, name in enumerate('abc'):
        np.save(folder / f'{name}.npy', clip(i, joints=4)[0])
    packed = converted(folder, layout=folder / 'layout.json')
    assert packed.layout.name == 'stick' and packed.clip(0).shape == (1, 4, 4, 3)
    assert packed.manifest['skipped'] == []
    del LAYOUTS['stick']
    assert PackedSet.open(folder.parent / 'out').layout.joints == ('hip', 'head', 'left', 'right')
    (folder / 'layout.json').write_text('{"name": ')
    with pytest.raises(ConfigError, match=r'layout\.json does not define a layout'):
        converted(folder, layout=folder / 'layout.json')


def test_classes_from_a_file_fix_the_order(folder):
    (folder / 'classes.txt').write_text('wave\njump\nclap\n')
    packed = converted(folder, classes=folder / 'classes.txt')
    assert packed.classes == ['wave', 'jump', 'clap'] and packed.table['label'].tolist() == [0, 2, 0]
    (folder / 'classes.txt').write_text('wave\n')
    packed = converted(folder, classes=folder / 'classes.txt')
    assert "row 3 of the table: label 'clap' is none of the classes" in packed.manifest['skipped'][0]['reason']


BAD = {
    'no file': ('d,wave,1,train', None, 'row 3 of the table: there is no file d.npy, .csv, .json'),
    'values': ('b,wave', None, 'row 3 of the table: it has 2 values for 4 columns'),
    'no name': (',wave,1,train', None, "row 3 of the table: '' is no name"),
    'negative label': ('b,-2,1,train', None, "row 3 of the table: label '-2' is a number, that of row 2 a name"),
    'number': ('b,7,1,train', None, "label '7' is a number, that of row 2 a name"),
    'subject': ('b,wave,anna,train', None, "row 3 of the table: subject='anna' is no whole number"),
    'side': ('b,wave,1,dev', None, "row 3 of the table: split='dev' is none of train, test, val"),
    'twice': ('a,wave,1,train', None, 'row 3 of the table: a: a clip of this name was added before'),
    'truncated': ('b,wave,1,train', ('b.npy', b'\x93NUMPY\x01'), 'b.npy: it is no .npy array, or a damaged or trunc'),
    'pickled': ('b,wave,1,train', ('b.npy', np.array([{}])), 'b.npy: it is no .npy array'),
    'joints': (
        'b,wave,1,train',
        ('b.npy', np.ones((4, 17, 3))),
        r'b: shape \(1, 4, 17, 3\) is not \(persons, frames, 20',
    ),
    'axes': ('b,wave,1,train', ('b.npy', np.ones(9)), r'b.npy: the shape \(9,\) is not \(T, V, C\)'),
    'width': ('b,wave,1,train', ('b.npy', np.ones((4, 61))), 'b.npy: 61 values a frame are no whole number of persons'),
    'nan': (
        'b,wave,1,train',
        ('b.npy', np.full((4, 20, 3), np.nan)),
        'b: no person is present, every value is zero or missing',
    ),
    'zero': ('b,wave,1,train', ('b.npy', np.zeros((4, 20, 3))), 'b: no person is present, every value is zero'),
    'empty': ('b,wave,1,train', ('b.npy', np.zeros((0, 20, 3))), 'b: no person is present'),
    'text': ('b,wave,1,train', ('b.npy', np.array([['a']])), 'b.npy: it holds <U1, not numbers'),
    'flat': ('b,wave,1,train', ('b.npy', np.ones((4, 20, 2))), 'b: 2 values a joint, the set has 3: x, y, z'),
    'token': ('b,wave,1,train', ('b.csv', b'1,2,3\n1,2x,3\n'), "b.csv: row 2, column 2: '2x' is no number"),
    'first token': ('b,wave,1,train', ('b.csv', b'1,2x,3\n1,2,3\n'), "b.csv: row 1, column 2: '2x' is no number"),
    'ragged': ('b,wave,1,train', ('b.csv', b'1,2,3\n1,2\n'), 'b.csv: row 2 has 2 values, those before have 3'),
    'no rows': ('b,wave,1,train', ('b.csv', b''), 'b.csv: it is empty'),
    'bytes': ('b,wave,1,train', ('b.csv', b'\xff\xfe1'), 'b.csv: it is no text of separated values'),
    'json': ('b,wave,1,train', ('b.json', b'[[1, 2'), 'b.json: it is no JSON of nested lists'),
    'json ragged': ('b,wave,1,train', ('b.json', b'[[1, 2], [1]]'), 'b.json: it is no JSON of nested lists'),
    'json key': (
        'b,wave,1,train',
        ('b.json', b'{"joints": [1]}'),
        r"b.json: it is no JSON of .*KeyError\('keypoint'\)",
    ),
    'json text': ('b,wave,1,train', ('b.json', b'[[[1, "a"]]]'), 'b.json: it holds <U'),
    'deep': ('b,wave,1,train', ('b.json', b'[' * 100000), 'b.json: it is no JSON of nested lists'),
}


@pytest.mark.parametrize(('row', 'file', 'message'), BAD.values(), ids=BAD)
def test_a_bad_clip_or_row_is_left_out_with_file_and_row_or_stops(folder, row, file, message):
    (folder / 'labels.csv').write_text(TABLE.replace('b,clap,2,test', row))
    (folder / 'b.npy').unlink()
    if file:
        name, content = file
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            np.save(folder / name, content)
    packed = converted(folder)
    assert packed.table['name'].tolist() == ['a', 'c'] and packed.classes[-1] == 'wave'
    (skip,) = packed.manifest['skipped']
    assert skip['name'] not in packed.table['name']
    with pytest.raises(
        DataError, match=f'mine, row 3 of the table: .*{message.split("table: ")[-1]}.*without --strict'
    ):
        converted(folder, strict=True)


def test_two_files_of_one_name_are_not_guessed_between(folder):
    (folder / 'b.json').write_text('[[[1]]]')
    (skip,) = converted(folder).manifest['skipped']
    assert 'b is one of several files: b.json, b.npy' in skip['reason']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('clip,label\na,1\n', "labels.csv has no column name; its first row is 'clip, label'"),
        ('a,1\n', "has no column name nor label; its first row is 'a, 1'"),
        ('name,label\n', 'has no rows below its header'),
        ('name,label,name\na,1,a\n', 'its first row should name each column once'),
        ('', 'labels.csv: it is empty'),
        (
            'name,label\nz,1\ny,2\n',
            r'mine: none of 5 clips is usable; the first: .*row 2 of the table: there is no file z',
        ),
    ],
)
def test_another_form_of_table_is_named_and_nothing_is_written(folder, text, message):
    (folder / 'labels.csv').write_text(text)
    with pytest.raises(DataError, match=message):
        converted(folder)
    assert [path.name for path in folder.parent.iterdir()] == ['mine']


def test_a_missing_folder_or_table_is_named(folder, tmp_path):
    (folder / 'labels.csv').unlink()
    with pytest.raises(
        DataError, match=r'labels\.csv cannot be read; it should be a table with the columns name and label'
    ):
        converted(folder)
    with pytest.raises(DataError, match='none is no folder with clips'):
        plain.convert(tmp_path / 'none', tmp_path / 'out', 'kinect20')


def saved(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


CONTENTS = {
    '.npy': saved(clip()[0]),
    '.csv': csv_of(clip(frames=2), 'x,y').encode(),
    '.txt': csv_of(clip(frames=2), separator=' ').encode(),
    '.tsv': csv_of(clip(frames=2), separator='\t').encode(),
    '.json': json.dumps({'keypoint': clip(frames=2)[0].tolist(), 'keypoint_score': np.ones((2, 20)).tolist()}).encode(),
}


@settings(max_examples=300)
@given(data=st.data(), suffix=st.sampled_from(plain.SUFFIXES), noise=st.binary(min_size=1, max_size=6))
def test_no_damage_to_a_clip_ends_in_anything_but_a_data_error(data, suffix, noise):
    content = CONTENTS[suffix]
    at = data.draw(st.integers(0, 130) | st.integers(0, len(content)))
    damage = st.sampled_from(
        [content[:at], content[:at] + noise + content[at + len(noise) :], content[:at] + noise + content[at:]]
    )
    try:
        keypoint = plain.parse(
            f'clip{suffix}', data.draw(damage | st.binary(max_size=40)), V, data.draw(st.sampled_from([None, AXES]))
        )
        assert keypoint.ndim == 4
    except DataError as error:
        assert f'clip{suffix}' in str(error)


@pytest.mark.slow
@example([['A', 'a']], [], ',')
@settings(max_examples=200)
@given(
    cells=st.lists(
        st.lists(
            st.sampled_from(['a', 'b', 'wave', '1', '-3', '', 'train', 'x"', '٣', '9' * 30, 'é']) | st.text(max_size=3)
        ),
        max_size=4,
    ),
    header=st.lists(st.sampled_from(['subject', 'split', 'split_', 'offset', 'file', 'age', 'label', 'split_xsub'])),
    separator=st.sampled_from(',;\t'),
)
def test_no_table_ends_in_anything_but_a_named_error(tmp_path_factory, cells, header, separator):
    folder = tmp_path_factory.getbasetemp() / 'fuzzed_table'
    folder.mkdir(exist_ok=True)
    np.save(folder / 'a.npy', clip()[0])
    lines = [['name', 'label', *header], *cells, ['a', '1', *[''] * len(header)]]
    text = '\n'.join(separator.join(line) for line in lines)
    (folder / 'labels.csv').write_bytes(text.encode('utf-8', 'surrogatepass'))
    try:
        plain.convert(folder, folder.parent / 'fuzzed_out', 'kinect20', overwrite=True)
        (name,) = PackedSet.open(folder.parent / 'fuzzed_out').table['name'].tolist()
        assert name.strip('/\\').casefold() == 'a'  # as the row spells it
    except DataError as error:
        assert 'fuzzed' in str(error)
