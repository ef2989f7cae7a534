"""The small public Kinect sets: values, splits, missing joints and damaged files, on archives written here."""

import zipfile
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import florence3d, kard, msraction3d, msrc12, sbu, utkinect
from skeattn.datasets.converters.sensor_text import in_metres, joint_rows, read_rows
from skeattn.errors import DataError
from tests.datasets.converters import archives
from tests.datasets.converters.archives import poses


def written(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def converted(module: ModuleType, source, **options) -> PackedSet:
    out = source.parent / 'out'
    module.convert(source, out, overwrite=True, **options)
    return PackedSet.open(out)


def columns(packed, i, *names):
    return tuple(packed.table[name][i].item() for name in names)


def sides(packed, name):
    return [packed.table['name'][side].tolist() for side in split(packed, name)]


def test_msraction3d_has_the_rows_at_the_joints_of_its_bones(tmp_path):
    raw = poses(1)
    raw[2, 9] = 0  # right wrist, not detected
    files = {
        'a05_s02_e01_skeleton3D.txt': archives.msraction3d(raw),
        'a05_s03_e02_skeleton3D.txt': archives.msraction3d(poses(2)),
        'a20_s10_e03_skeleton3D.txt': archives.msraction3d(poses(3)),
        'a09_s01_e01_skeleton3D.txt': archives.msraction3d(poses(4)),
    }
    packed = converted(msraction3d, written(tmp_path / 'in', files))
    assert packed.table['name'].tolist() == ['a05_s02_e01', 'a05_s03_e02', 'a09_s01_e01', 'a20_s10_e03']
    assert packed.layout.name == 'kinect20' and packed.classes[4] == 'forward punch'
    assert columns(packed, 0, 'label', 'subject', 'replication') == (4, 2, 1)
    stored = packed.clip(0)[0]
    for row, joint in enumerate(archives.MSR_JOINTS):
        expected = raw[:, row].copy()
        expected[2] = np.nan if joint == 'right_wrist' else expected[2]
        np.testing.assert_allclose(stored[:, packed.layout.joint(joint)], expected, rtol=1e-5)
    assert sides(packed, 'xsub') == [['a05_s03_e02', 'a09_s01_e01'], ['a05_s02_e01', 'a20_s10_e03']]
    assert sides(packed, 'as1') == [['a05_s03_e02'], ['a05_s02_e01', 'a20_s10_e03']]
    assert sides(packed, 'as2') == [['a09_s01_e01'], []]


def test_kard_is_in_millimetres_and_in_the_order_of_its_description(tmp_path):
    raw = poses(1, joints=15)
    raw[0, 4] = 0
    files = {
        'a18_s03_e02_realworld.txt': archives.kard(raw),
        'a01_s04_e01_realworld.txt': archives.kard(poses(2, joints=15)),
        'a01_s04_e01_screen.txt': archives.kard(poses(3, joints=15)),
    }
    packed = converted(kard, written(tmp_path / 'in', files))
    assert packed.layout.name == 'kard15' and packed.classes[17] == 'stand up'
    assert columns(packed, 1, 'label', 'subject', 'replication') == (17, 3, 2)
    raw[0, 4] = np.nan
    np.testing.assert_allclose(packed.clip(1)[0], raw, rtol=1e-5)
    assert sides(packed, 'xsub') == [['a18_s03_e02'], ['a01_s04_e01']]
    assert sides(packed, 'loso04') == [['a18_s03_e02'], ['a01_s04_e01']]
    assert packed.manifest['notes']['files not read'].startswith('1 .txt')


@pytest.mark.parametrize('zipped', [False, True])
def test_sbu_has_two_persons_in_metres_and_the_published_folds(tmp_path, zipped):
    raw = poses(1, joints=15, persons=2)
    raw[1, 2, 14], raw[0, 3] = 0, 0  # a foot, and a whole person
    files = {
        's01s02/01/001/skeleton_pos.txt': archives.sbu(raw),
        's06s03/s06s03/08/002/skeleton_pos.txt': archives.sbu(poses(2, joints=15, persons=2)),
        's02s03/03/001/skeleton_pos.txt': archives.sbu(poses(3, joints=15, persons=2)),
    }
    source = written(tmp_path / 'in', files)
    if zipped:
        for pair in ('s01s02', 's06s03', 's02s03'):
            with zipfile.ZipFile(tmp_path / 'in' / f'{pair}.zip', 'w') as archive:
                for path in (tmp_path / 'in' / pair).rglob('*.txt'):
                    archive.write(path, path.relative_to(tmp_path / 'in'))
                    path.unlink()
    packed = converted(sbu, source)
    assert packed.table['name'].tolist() == ['s01s02_01_001', 's02s03_03_001', 's06s03_08_002']
    assert columns(packed, 2, 'label', 'subject', 'setup', 'replication') == (7, 6, 18, 2)
    raw[1, 2, 14] = np.nan
    np.testing.assert_allclose(packed.clip(0), raw, atol=1e-4)
    assert sides(packed, 'fold1') == [['s02s03_03_001', 's06s03_08_002'], ['s01s02_01_001']]
    assert sides(packed, 'fold5') == [['s01s02_01_001', 's02s03_03_001'], ['s06s03_08_002']]


@pytest.mark.parametrize('given_file', [False, True])
def test_florence3d_cuts_its_one_file_into_videos(tmp_path, given_file):
    videos = [(1, 1, 1, poses(1, 3, 15)), (2, 1, 9, poses(2, 5, 15)), (10, 2, 3, poses(3, 4, 15))]
    videos[2][3][1, 5] = 0
    name = 'Florence_dataset_WorldCoordinates.txt'
    content = b'%idvideo idactor idcategory f1 ... f45\n' + archives.florence3d(videos)
    source = written(tmp_path / 'in', {name: content, 'Florence_dataset_Features.txt': b'1 2 3\n'})
    packed = converted(florence3d, source / name if given_file else source)
    assert packed.table['name'].tolist() == ['v001', 'v002', 'v010'] and packed.layout.name == 'florence15'
    assert [columns(packed, i, 'label', 'subject') for i in range(3)] == [(0, 1), (8, 1), (2, 2)]
    videos[2][3][1, 5] = np.nan
    for i, (*_, keypoint) in enumerate(videos):
        np.testing.assert_allclose(packed.clip(i)[0], keypoint, rtol=1e-5)
    assert sides(packed, 'xsub') == [['v001', 'v002'], ['v010']]
    assert sides(packed, 'loso01') == [['v010'], ['v001', 'v002']]


UTK_LABELS = """s01_e01
walk: 4 8
sitDown: 10 12
carry: NaN NaN
s10_e02
clapHands: 2 6
throw: 90 98
"""


def utk(folder):
    first, second = poses(1, 6), poses(2, 4)
    frames = [2, 4, 6, 8, 10, 12]
    files = {
        'joints/joints_s01_e01.txt': archives.utkinect([*frames, 4], [*first, second[0]]),  # a number again
        'joints/joints_s10_e02.txt': archives.utkinect([2, 4, 6, 8], second),
        'actionLabel.txt': UTK_LABELS.encode(),
    }
    return written(folder, files), first, second


def test_utkinect_cuts_recordings_by_frame_numbers(tmp_path):
    source, first, second = utk(tmp_path / 'in')
    packed = converted(utkinect, source)
    assert packed.table['name'].tolist() == ['s01_e01_walk', 's01_e01_sitDown', 's10_e02_clapHands']
    assert columns(packed, 2, 'label', 'subject', 'replication') == (9, 10, 2)
    for i, expected in enumerate((first[1:4], first[4:], second[:3])):
        np.testing.assert_allclose(packed.clip(i)[0], expected, rtol=1e-5)
    assert sides(packed, 'xsub') == [['s01_e01_walk', 's01_e01_sitDown'], ['s10_e02_clapHands']]
    skipped = {skip['name']: skip for skip in packed.manifest['skipped']}
    assert skipped['s01_e01_carry']['intended'] and 'lists no frames' in skipped['s01_e01_carry']['reason']
    assert 'holds none of the frames 90 to 98' in skipped['s10_e02_throw']['reason']
    with pytest.raises(DataError, match=r'throw of s10_e02: .* holds none of the frames 90 to 98'):
        converted(utkinect, source, strict=True)


def test_msrc12_cuts_recordings_between_their_tags(tmp_path):
    times = np.arange(12) * 33_333 + 1_000_000
    raw = poses(1, 12)
    raw[:2], raw[7, 3] = 0, 0  # before anybody comes; a head
    files = {
        'data/P1_1_12A_p06.csv': archives.msrc12(times, raw),
        'data/P1_1_12A_p06.tagstream': archives.tagstream(times[[4, 8]] + 10, 12),
        'data/P2_2_3_p07.csv': archives.msrc12(times, poses(2, 12)),
        'data/P2_2_3_p07.tagstream': archives.tagstream(times[[6]], 3, 'Push'),
    }
    packed = converted(msrc12, written(tmp_path / 'in', files))
    assert packed.table['name'].tolist() == ['P1_1_12A_p06_00', 'P1_1_12A_p06_01', 'P2_2_3_p07_00']
    assert columns(packed, 0, 'label', 'subject', 'setup') == (11, 6, 11)
    raw[7, 3] = np.nan
    for i, expected in enumerate((raw[:7], raw[7:], poses(2, 12))):  # frame 6 lies at both tags' middle, less 10
        np.testing.assert_allclose(packed.clip(i)[0], expected, rtol=1e-5)
    assert sides(packed, 'xsub') == [['P2_2_3_p07_00'], ['P1_1_12A_p06_00', 'P1_1_12A_p06_01']]


@pytest.mark.parametrize(
    ('module', 'name', 'content', 'message'),
    [
        (msraction3d, 'a21_s01_e01_skeleton3D.txt', archives.msraction3d(poses(1)), r'action 21 is outside 1\.\.20'),
        (msraction3d, 'walk_skeleton3D.txt', archives.msraction3d(poses(1)), 'not of the form aAA_sSS_eEE_skeleton3D'),
        (msraction3d, 'a01_s01_e01_skeleton3D.txt', b'1 2 3 4\n' * 30, '30 rows are no whole number of frames of 20'),
        (msraction3d, 'a01_s01_e01_skeleton3D.txt', b'1 2\n' * 20, 'line 1 has 2 values, not 4 or 3'),
        (msraction3d, 'a01_s01_e01_skeleton3D.txt', b'', 'holds no rows of numbers'),
        (msraction3d, 'a01_s01_e01_skeleton3D.txt', b'0 0 0 0\n' * 20, 'no person is present'),
        (msraction3d, 'a01_s01_e01_skeleton3D.txt', archives.msraction3d(poses(1) * 30), 'a person is .* large, which'),
        (kard, 'a19_s01_e01_realworld.txt', archives.kard(poses(1, 4, 15)), r'activity 19 is outside 1\.\.18'),
        (kard, 'a01_s01_e01_realworld.txt', archives.kard(poses(1, 4, 15))[:-9], 'no whole number|values, not 3'),
        (kard, 'a01_s01_e01_realworld.txt', b'\xff\xfe\x00', 'it is no text'),
        (sbu, 's01s04/01/001/skeleton_pos.txt', archives.sbu(poses(1, 4, 15, 2)), 'is none of the 21 pairs'),
        (sbu, 's01s02/09/001/skeleton_pos.txt', archives.sbu(poses(1, 4, 15, 2)), 'is none of the 21 pairs and 8'),
        (sbu, 'walk/skeleton_pos.txt', archives.sbu(poses(1, 4, 15, 2)), 'does not lie in a folder sAAsBB/CC/NNN'),
        (sbu, 's01s02/01/001/skeleton_pos.txt', b'1,2,x\n', 'line 1 holds something that is no number'),
    ],
)
def test_a_damaged_clip_is_named_with_its_fault(tmp_path, module, name, content, message):
    with pytest.raises(DataError, match=message) as error:
        converted(module, written(tmp_path / 'in', {name: content}), strict=True)
    assert name.split('/')[-1] in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('module', 'files', 'message'),
    [
        (utkinect, {'joints_s01_e01.txt': b'1 2\n'}, 'holds no actionLabel.txt'),
        (utkinect, {'actionLabel.txt': b'walk: 1 2\n'}, 'line 1 is .* of no recording'),
        (utkinect, {'actionLabel.txt': b's01_e01\nfly: 1 2\n'}, 'line 2 is .* or no action of the set'),
        (utkinect, {'actionLabel.txt': b's01_e01\nwalk 1\n'}, 'line 2 is .*, not "sSS_eEE"'),
        (utkinect, {'actionLabel.txt': UTK_LABELS.encode()}, 'there is no file joints_s01_e01.txt'),
        (florence3d, {'a_WorldCoordinates.txt': b'1 1 1 0\n'}, 'line 1 has 4 values, not 48'),
        (florence3d, {'a_WorldCoordinates.txt': b'1.5 ' * 48}, 'are no numbers of video, actor and action'),
        (florence3d, {'a_WorldCoordinates.txt': b'nan ' * 48}, 'are no numbers of video, actor and action'),
        (florence3d, {'a_WorldCoordinates.txt': b'1 1 10 ' + b'2 ' * 45}, r'video 1: action 10 is outside 1\.\.9'),
        (
            florence3d,
            {'a_WorldCoordinates.txt': b'1 1 1 ' + b'2 ' * 45 + b'\n1 2 1 ' + b'2 ' * 45},
            r'are of the actors \[1, 2\]',
        ),
        (msrc12, {'P1_1_1_p01.csv': b'1 2\n'}, 'there is no file P1_1_1_p01.tagstream'),
        (msrc12, {'P1_1_13_p01.csv': b'1 2\n'}, r'gesture 13 is outside 1\.\.12'),
        (msrc12, {'walk.csv': b'1 2\n'}, 'not of the form PI_J_G_pSS.csv'),
        (msrc12, {'P1_1_1_p01.csv': b'1 2\n', 'P1_1_1_p01.tagstream': b'Tick\n1;G1\n'}, 'its first line is .Tick'),
        (
            msrc12,
            {'P1_1_1_p01.csv': b'1 2\n', 'P1_1_1_p01.tagstream': archives.tagstream([1], 2)},
            'it tags the gesture 2, its name says 1',
        ),
        (
            msrc12,
            {'P1_1_1_p01.csv': b'1 2\n', 'P1_1_1_p01.tagstream': archives.tagstream([1], 1)},
            'line 1 has 2 values, not 81',
        ),
        (
            msrc12,
            {
                'P1_1_1_p01.csv': archives.msrc12(np.arange(4), poses(1)),
                'P1_1_1_p01.tagstream': archives.tagstream([9_000_000], 1),
            },
            'its tag at 9000000 microseconds is outside the recording',
        ),
    ],
)
def test_a_damaged_source_ends_in_one_line(tmp_path, module, files, message):
    with pytest.raises(DataError, match=message) as error:
        converted(module, written(tmp_path / 'in', files))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('factor', [1, 1000])
def test_the_unit_is_that_in_which_a_person_is_of_human_size(factor):
    keypoint = poses(1, persons=2)
    keypoint[0, 1], keypoint[1, 2, 3] = 0, np.nan
    np.testing.assert_allclose(in_metres('c', keypoint * factor), keypoint, rtol=1e-6)


GOOD = {
    msraction3d: ('a01_s01_e01_skeleton3D.txt', archives.msraction3d(poses(1))),
    kard: ('a01_s01_e01_realworld.txt', archives.kard(poses(1, joints=15))),
    sbu: ('s01s02/01/001/skeleton_pos.txt', archives.sbu(poses(1, joints=15, persons=2))),
}


@st.composite
def damaged(draw, good):
    """A good file with a few places overwritten, cut out or spliced."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 1, 2, 20, len(content)]))
        pieces = st.sampled_from([b'\n', b' ', b'nan', b'inf', b'1e999', b'-1', b'%', b';', b'\xff' * 4, b'1_0', b'G'])
        content[at : at + length] = draw(st.one_of(st.binary(max_size=4), pieces))
    return bytes(content)


@pytest.mark.slow
@settings(max_examples=300)
@given(data=st.data(), module=st.sampled_from(list(GOOD)))
def test_whatever_the_bytes_a_parser_answers_or_names_the_file(data, module):
    path, good = GOOD[module]
    try:
        _, keypoint, _ = module.parse(path, data.draw(damaged(good) | st.binary(max_size=99)))
    except DataError as error:
        assert path in str(error)
    else:
        assert keypoint.dtype == np.float32 and keypoint.ndim == 4


@settings(max_examples=60)
@given(data=st.data(), module=st.sampled_from([florence3d, utkinect, msrc12]))
def test_whatever_the_bytes_a_set_of_several_clips_a_file_is_packed_or_refused(tmp_path_factory, data, module):
    files = {
        florence3d: {'a_WorldCoordinates.txt': archives.florence3d([(1, 1, 1, poses(1, 3, 15))])},
        utkinect: {
            'joints_s01_e01.txt': archives.utkinect([2, 4, 6], poses(1, 3)),
            'actionLabel.txt': b's01_e01\nwalk: 2 4\nthrow: 6 6\n',
        },
        msrc12: {
            'P1_1_12_p06.csv': archives.msrc12(np.arange(3) * 33_333, poses(1, 3)),
            'P1_1_12_p06.tagstream': archives.tagstream([0, 66_666], 12),
        },
    }[module]
    name = data.draw(st.sampled_from(sorted(files)))
    folder = tmp_path_factory.mktemp('damaged')
    source = written(folder / 'in', {**files, name: data.draw(damaged(files[name]))})
    try:
        packed = converted(module, source)
    except DataError as error:
        assert '\n' not in str(error)
    else:
        assert np.isfinite(packed.clip(0)).any()


def test_rows_are_read_between_any_separators_and_comments_are_skipped():
    assert read_rows('f', b'# x\n 1,2;3\t\n\n4 5  6,\n', 3).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert joint_rows('f', b'1 2 3 9\n4 5 6 9\n', 1, 4).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]
