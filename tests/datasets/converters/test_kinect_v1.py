"""NW-UCLA and UTD-MHAD: the real archives, the joint order, and damaged files."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import nwucla, utdmhad
from skeattn.errors import DataError
from skeattn.skeletons import get_layout
from tests.conftest import ROOT, shared_path
from tests.datasets.raw import clip


@pytest.mark.slow
def test_nwucla_has_its_1484_clips_and_the_standard_split(ucla):
    assert len(ucla) == 1484
    assert [len(side) for side in split(ucla, 'xview')] == [1020, 464]
    assert len(np.unique(ucla.table['subject'])) == 10
    assert np.unique(ucla.table['label']).tolist() == list(range(10))
    frames = ucla.table['frames']
    assert (frames.min(), np.median(frames), frames.max()) == (1, 31, 201)
    assert (frames < 10).sum() == 10
    assert ucla.classes[0] == 'pick up with one hand' and ucla.classes[9] == 'carry'


@pytest.mark.slow
def test_nwucla_clips_hold_the_files_coordinates_and_codes(ucla):
    name = 'a12_s06_e04_v03'
    i = ucla.table['name'].tolist().index(name)
    with zipfile.ZipFile(shared_path('data/nw_ucla.zip')) as archive:
        raw = np.array(json.loads(archive.read(f'all_sqe/{name}.json'))['skeletons'], np.float32)
    np.testing.assert_array_equal(ucla.clip(i), raw[None])
    row = {column: ucla.table[column][i].item() for column in ('label', 'subject', 'replication', 'camera', 'setup')}
    assert row == {'label': 9, 'subject': 6, 'replication': 4, 'camera': 3, 'setup': -1}


@pytest.mark.slow
def test_utdmhad_has_its_861_clips_and_the_standard_split(mhad):
    assert len(mhad) == 861
    assert [len(side) for side in split(mhad, 'xsub')] == [431, 430]
    assert np.unique(mhad.table['subject']).tolist() == list(range(1, 9))
    assert np.unique(mhad.table['label']).tolist() == list(range(27))
    frames = mhad.table['frames']
    assert (frames.min(), np.median(frames), frames.max()) == (41, 67, 125)


@pytest.mark.slow
def test_the_docs_count_its_clips_as_the_converter_does(mhad):
    """A number in the docs is that of the data, not of 27 classes times 16 clips."""
    train, _ = split(mhad, 'xsub')
    assert f'{len(train)} training clips of 27 classes' in (ROOT / 'docs/results/README.md').read_text()


@pytest.mark.slow
def test_utdmhad_is_permuted_into_kinect20(mhad):
    i = mhad.table['name'].tolist().index('a16_s06_t02')
    with zipfile.ZipFile(shared_path('data/utd_mhad.zip')) as archive:
        raw = loadmat(io.BytesIO(archive.read('Skeleton/a16_s6_t2_skeleton.mat')))['d_skel'].astype(np.float32)
    expected = raw[[3, 2, 1, 0, *range(4, 20)]].transpose(2, 0, 1)
    np.testing.assert_array_equal(mhad.clip(i)[0], expected)


@pytest.mark.slow
def test_both_sets_share_the_skeleton(ucla, mhad):
    """Bone lengths of the two sets agree joint by joint, which a wrong order would break."""
    layout = get_layout('kinect20')

    def bones(packed):
        clips = np.concatenate([packed.clip(i)[0] for i in range(0, len(packed), 40)])
        return np.array([np.median(np.linalg.norm(clips[:, j] - clips[:, p], axis=1)) for j, p in layout.bones])

    np.testing.assert_allclose(bones(ucla), bones(mhad), atol=0.08)
    for packed in (ucla, mhad):
        joints = np.median(np.concatenate([packed.clip(i)[0] for i in range(0, len(packed), 40)]), axis=0)
        head, foot = joints[layout.joint('head')], joints[layout.joint('left_foot')]
        assert head[1] - foot[1] > 1  # y points up


def nwucla_file(**changes):
    return json.dumps({'file_name': 'x', 'skeletons': clip(frames=1)[0].tolist(), 'label': 1, **changes}).encode()


def test_a_clip_of_one_frame_survives(tmp_path):
    (tmp_path / 'a01_s01_e00_v01.json').write_bytes(nwucla_file())
    nwucla.convert(tmp_path, tmp_path / 'packed')
    np.testing.assert_array_equal(PackedSet.open(tmp_path / 'packed').clip(0), clip(frames=1))
    savemat(tmp_path / 'a1_s1_t1_skeleton.mat', {'d_skel': clip(frames=1)[0, 0]})  # (20, 3): MATLAB drops the last axis
    _, keypoint, _ = utdmhad.parse('a1_s1_t1_skeleton.mat', (tmp_path / 'a1_s1_t1_skeleton.mat').read_bytes())
    assert keypoint.shape == (1, 1, 20, 3)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a01_s01_e00_v01', b'', 'not JSON with "skeletons"'),
        ('a01_s01_e00_v01', nwucla_file()[:50], 'not JSON with "skeletons"'),
        ('a01_s01_e00_v01', nwucla_file(skeletons=[[[10**400, 0, 0]]]), 'not JSON with "skeletons"'),
        ('a01_s01_e00_v01', b'\xff', 'not JSON with "skeletons"'),
        ('a01_s01_e00_v01', b'[]', 'not JSON with "skeletons"'),
        ('a01_s01_e00_v01', b'{"skeletons": []}', r'shape \(0,\), not \(frames, 20, 3\)'),
        ('a01_s01_e00_v01', b'{"skeletons": [[[1, 2, 3]]]}', r'shape \(1, 1, 1, 3\) is not'),
        ('a01_s01_e00_v01', nwucla_file().replace(b'[[[', b'[[[NaN, 1, 1], [', 1), 'NaN or infinite|shape'),
        ('a07_s01_e00_v01', nwucla_file(), 'unknown action code 7; the codes are 1, 2, 3, 4, 5, 6, 8, 9, 11, 12'),
        ('walk', nwucla_file(), 'not of the form aAA_sSS_eEE_vVV'),
    ],
)
def test_a_damaged_nwucla_file_is_named(tmp_path, name, content, message):
    (tmp_path / f'{name}.json').write_bytes(content)
    with pytest.raises(DataError, match=f'{name}.*{message}'):
        nwucla.convert(tmp_path, tmp_path / 'packed', strict=True)
    assert not (tmp_path / 'packed').exists()


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a1_s1_t1_skeleton', b'', 'not a MATLAB file with the variable d_skel'),
        ('a1_s1_t1_skeleton', b'MATLAB 5.0 MAT-file' + bytes(400), 'not a MATLAB file with the variable d_skel'),
        ('a1_s1_t1_skeleton', {'other': np.zeros(3)}, 'not a MATLAB file with the variable d_skel'),
        ('a1_s1_t1_skeleton', {'d_skel': np.zeros((25, 3, 4))}, r'shape \(25, 3, 4\), not \(20, 3, frames\)'),
        ('a28_s1_t1_skeleton', {'d_skel': np.zeros((20, 3, 4))}, r'action 28 is outside 1\.\.27'),
        ('walk', {'d_skel': np.zeros((20, 3, 4))}, 'not of the form aA_sS_tT_skeleton'),
    ],
)
def test_a_damaged_utdmhad_file_is_named(tmp_path, name, content, message):
    if isinstance(content, dict):
        stream = io.BytesIO()
        savemat(stream, content)
        content = stream.getvalue()
    (tmp_path / f'{name}.mat').write_bytes(content)
    with pytest.raises(DataError, match=f'{name}.*{message}'):
        utdmhad.convert(tmp_path, tmp_path / 'packed', strict=True)
    assert not (tmp_path / 'packed').exists()


JSON = nwucla_file()
MAT = io.BytesIO()
savemat(MAT, {'d_skel': clip(frames=3)[0].transpose(1, 2, 0)})


@st.composite
def damaged(draw, good):
    """A good file with a few places overwritten, cut out or spliced."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 1, 2, 20, len(content)]))
        pieces = st.sampled_from([b'[', b']', b'{', b'null', b'NaN', b'1e999', b'"', b',', bytes(8), b'\xff' * 4])
        content[at : at + length] = draw(st.one_of(st.binary(max_size=4), pieces))
    return bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('parse', 'path', 'good'),
    [(nwucla.parse, 'a01_s01_e00_v01.json', JSON), (utdmhad.parse, 'a1_s1_t1_skeleton.mat', MAT.getvalue())],
)
def test_whatever_the_bytes_the_parsers_answer_or_name_the_file(parse, path, good):
    @settings(max_examples=400)
    @given(st.one_of(damaged(good), st.binary(max_size=200)))
    def check(content):
        try:
            _, keypoint, _ = parse(path, content)
        except DataError as error:
            assert path in str(error)
        else:
            assert keypoint.dtype == np.float32 and keypoint.ndim == 4

    check()
