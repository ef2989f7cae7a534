"""Motion capture and trackers whose files name their joints: places, order by name, layouts made of names and bones."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets import PackedSet
from skeattn.datasets.converters import bvh, c3d, deeplabcut, sleap
from skeattn.datasets.converters.named import NamedClip, canonical, derive_layout, find_joints, tree_of
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import LAYOUTS, describe_layout, get_layout
from tests.datasets.converters import mocap
from tests.datasets.raw import clip

STICK = {
    'name': 'markers5',
    'joints': ['SACR', 'LSHO', 'RSHO', 'LANK', 'RANK'],
    'parents': [0, 0, 0, 0, 0],
    'mirror': [[1, 2], [3, 4]],
    'parts': {'trunk': [0], 'left_arm': [1], 'right_arm': [2], 'left_leg': [3], 'right_leg': [4]},
    'hip': 0,
    'spine': [0, [1, 2]],
    'shoulders': [1, 2],
}


@pytest.fixture
def stick(tmp_path):
    path = tmp_path / 'markers5.json'
    path.write_text(json.dumps(STICK))
    yield path
    LAYOUTS.pop('markers5', None)


def converted(module, folder, **options):
    module.convert(folder, folder.parent / 'out', labels='none', overwrite=True, **options)
    return PackedSet.open(folder.parent / 'out')


def folder_of(tmp_path, **files):
    folder = tmp_path / 'in'
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace('__', '.')).write_bytes(content)
    return folder


def slow_kinematics(row):
    """The places of one frame, joint by joint: rotations as products of textbook matrices."""

    def matrix(axis, degrees):
        a = np.radians(degrees)
        c, s = np.cos(a), np.sin(a)
        return {
            'X': np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
            'Y': np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
            'Z': np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
        }[axis]

    world, places, column = [], [], 0
    for _, parent, offset, channels in mocap.SKELETON:
        local = np.eye(4)
        local[:3, 3] = offset
        for channel in channels.split():
            if channel.endswith('position'):
                local['XYZ'.index(channel[0]), 3] = row[column]
            else:
                turn = np.eye(4)
                turn[:3, :3] = matrix(channel[0], row[column])
                local = local @ turn
            column += 1
        world.append(local if parent < 0 else world[parent] @ local)
        places.append(world[-1][:3, 3])
    return np.array(places)


def test_bvh_places_joints_by_forward_kinematics(tmp_path):
    values = mocap.values(1)
    packed = converted(bvh, folder_of(tmp_path, walk__bvh=mocap.bvh(values)), scale=0.01)
    expected = np.stack([slow_kinematics(row) for row in values]) / 100
    assert packed.table['name'].tolist() == ['walk'] and packed.table['label'].tolist() == [-1]
    assert packed.layout.joints == mocap.NAMES and packed.layout.parents == mocap.PARENTS
    np.testing.assert_allclose(packed.clip(0)[0], expected, atol=1e-5)
    knee, hip = packed.layout.joints.index('LeftLeg'), packed.layout.joints.index('LeftUpLeg')
    np.testing.assert_allclose(np.linalg.norm(expected[:, knee] - expected[:, hip], axis=1), 0.4)


def test_a_layout_is_made_of_the_names_and_bones_of_the_file():
    layout = derive_layout(mocap.NAMES, mocap.PARENTS, 'bvh')
    joints = mocap.NAMES.index
    assert layout.hip == joints('Hips') and layout.spine == (joints('Hips'), joints('Neck'))
    assert layout.shoulders == (joints('LeftArm'), joints('RightArm'))
    assert set(layout.mirror) == {
        (joints(f'Left{name}'), joints(f'Right{name}')) for name in ('Arm', 'ForeArm', 'Hand', 'UpLeg', 'Leg', 'Foot')
    }
    assert {part: len(members) for part, members in layout.parts.items()} == {
        'trunk': 4, 'right_arm': 3, 'left_arm': 3, 'right_leg': 3, 'left_leg': 3,
    }  # fmt: skip
    assert layout == derive_layout(mocap.NAMES, mocap.PARENTS, 'bvh')
    assert layout.name != derive_layout(mocap.NAMES, (0,) * len(mocap.PARENTS), 'bvh').name
    assert isinstance(describe_layout(layout), dict)  # stored with the set


def test_joints_of_a_named_layout_are_found_by_place(tmp_path):
    """``LeftForeArm`` moves the forearm and lies at the elbow."""
    wanted = dict(
        name='arms', joints=['pelvis', 'left_elbow', 'right_elbow', 'left_knee', 'right_knee'],
        parents=[0, 0, 0, 0, 0], mirror=[[1, 2], [3, 4]], parts=dict(trunk=[0], arms=[1, 2], legs=[3, 4]),
        hip=0, spine=[0, [1, 2]], shoulders=[1, 2],
    )  # fmt: skip
    (tmp_path / 'arms.json').write_text(json.dumps(wanted))
    values = mocap.values(2)
    packed = converted(bvh, folder_of(tmp_path, a__bvh=mocap.bvh(values)), layout=tmp_path / 'arms.json')
    places = np.stack([slow_kinematics(row) for row in values])
    order = [mocap.NAMES.index(name) for name in ('Hips', 'LeftForeArm', 'RightForeArm', 'LeftLeg', 'RightLeg')]
    np.testing.assert_allclose(packed.clip(0)[0], places[:, order], rtol=1e-5)
    LAYOUTS.pop('arms')
    with pytest.raises(DataError, match='layout coco17 has the joints nose, left_eye, right_eye, …, which the file la'):
        converted(bvh, folder_of(tmp_path, a__bvh=mocap.bvh(values)), layout='coco17')


def test_a_file_of_other_joints_than_the_first_is_left_out(tmp_path):
    other = tuple((name.replace('Spine', 'Chest'), *rest) for name, *rest in mocap.SKELETON)
    folder = folder_of(tmp_path, a__bvh=mocap.bvh(mocap.values()), b__bvh=mocap.bvh(mocap.values(), other))
    (skip,) = converted(bvh, folder).manifest['skipped']
    assert skip['name'] == 'b' and 'has the joints Spine, which the file lacks' in skip['reason']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (b'', 'it is no BVH file'),
        (b'HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\n', 'it is no BVH file'),
        (mocap.bvh(mocap.values())[:-60], 'should have 51 values each|damaged'),
        (mocap.bvh(mocap.values()).replace(b'ROOT', b'JOINT'), 'needs one ROOT'),
        (mocap.bvh(mocap.values()).replace(b'JOINT', b'ROOT'), 'needs one ROOT'),
        (mocap.bvh(mocap.values()).replace(b'}', b'', 1), 'braces are open'),
        (mocap.bvh(mocap.values()).replace(b'Xrotation', b'Wrotation', 1), 'channels 6 Xposition'),
        (mocap.bvh(mocap.values()).replace(b'LeftLeg', b'Hips'), 'two have the same name'),
        (mocap.bvh(mocap.values() * np.nan), 'no finite numbers'),
    ],
)
def test_a_damaged_bvh_file_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=rf'walk\.bvh: .*({message})'):
        converted(bvh, folder_of(tmp_path, walk__bvh=text))


def test_a_scale_must_be_positive(tmp_path):
    with pytest.raises(ConfigError, match=r'scale=0 \(--scale\) must be positive'):
        converted(bvh, folder_of(tmp_path, a__bvh=b''), scale=0)


def dlc_parts(names, C=3, seed=0):
    values = clip(seed, 1, 5, len(names))[0, ..., :C].astype(float)
    return {name: values[:, j] for j, name in enumerate(names)}, values


def test_deeplabcut_points_are_brought_into_the_order_of_the_layout(tmp_path):
    names = tuple(reversed(get_layout('coco17').joints))
    parts, values = dlc_parts(names)
    values[2, 3] = np.nan
    values[3, 4, 2] = 0
    folder = folder_of(tmp_path, day1DLC_resnet50_x__csv=mocap.deeplabcut({'': parts}))
    packed = converted(deeplabcut, folder)
    assert packed.layout.name == 'coco17' and packed.channels == ('x', 'y', 'score')
    assert packed.table['name'].tolist() == ['day1']
    values[2, 3, 2], values[3, 4, :2] = 0, np.nan
    np.testing.assert_allclose(packed.clip(0)[0], values[:, ::-1], rtol=1e-6)


def test_deeplabcut_individuals_are_persons_and_three_coordinates_are_3d(tmp_path, stick):
    names = ('L-SHO', 'R-SHO', 'SACR', 'L-ANK', 'R-ANK')  # LSHO and RSHO are those of the layout
    names = tuple(name.replace('-', '') for name in names)
    (one, a), (two, b) = dlc_parts(names), dlc_parts(names, seed=1)
    for part in two.values():
        part[1] = np.nan
    content = mocap.deeplabcut({'mouse1': one, 'mouse2': two}, coords=('x', 'y', 'z'))
    packed = converted(deeplabcut, folder_of(tmp_path, a__csv=content), layout=stick)
    assert packed.channels == ('x', 'y', 'z')
    order = [names.index(joint) for joint in STICK['joints']]
    b[1] = 0
    np.testing.assert_allclose(packed.clip(0), np.stack([a, b])[:, :, order], rtol=1e-6)


def test_points_without_bones_ask_for_a_layout(tmp_path):
    parts, _ = dlc_parts(('snout', 'left_ear', 'right_ear', 'tail'))
    with pytest.raises(
        ConfigError, match=r'joints snout, left_ear, right_ear, …, which are those of no known layout; '
    ):
        converted(deeplabcut, folder_of(tmp_path, a__csv=mocap.deeplabcut({'': parts})))


@pytest.mark.parametrize(
    'text',
    [
        b'',
        b'name,label\na,1\n',
        b'scorer,D\nbodyparts,nose\ncoords,x\n0,1\n',
        b'scorer,D,D\nbodyparts,nose,nose\ncoords,x,y\n0,1\n',
        b'scorer,D,D\nbodyparts,nose,nose\ncoords,x,y\n0,1,a\n1,x,2\n',
        b'scorer,D,D\nbodyparts,nose,nose\ncoords,x,x\n0,1,1\n',
        b'\xff\xfe\x00\x01',
    ],
)
def test_a_damaged_deeplabcut_file_is_named(text):
    with pytest.raises(DataError, match=r'a\.csv: (it is no file of DeepLabCut|the row coords holds)'):
        deeplabcut.read_clip([('a.csv', text)])


NODES = ('nose', 'left_ear', 'right_ear', 'body', 'left_paw', 'right_paw')
EDGES = ((3, 0), (0, 1), (0, 2), (3, 4), (3, 5))


def mice(seed=0):
    values = clip(seed, 2, 5, len(NODES)).astype(float)
    places, scores = values[..., :2] * 100, values[..., 2]
    places[0, 1, 2], places[1, 3] = np.nan, np.nan
    return places, scores


def test_sleap_tracks_are_persons_and_edges_the_bones(tmp_path):
    pytest.importorskip('h5py')
    places, scores = mice()
    folder = folder_of(tmp_path)
    (folder / 'day1.analysis.h5').write_bytes(mocap.sleap(places, scores, NODES, EDGES))
    packed = converted(sleap, folder)
    assert packed.table['name'].tolist() == ['day1'] and packed.channels == ('x', 'y', 'score')
    assert packed.layout.joints == NODES and packed.layout.parents == (3, 0, 0, 3, 3, 3)
    expected = np.concatenate([places, scores[..., None]], axis=-1)
    expected[0, 1, 2, 2], expected[1, 3] = 0, 0
    np.testing.assert_allclose(packed.clip(0), expected, rtol=1e-6)


def test_c3d_markers_are_in_metres_and_unseen_ones_missing(tmp_path, stick):
    pytest.importorskip('c3d')
    points = clip(1, 1, 4, 6)[0].astype(float)
    points[1, 2], points[3] = np.nan, np.nan
    names = ['RANK', 'LANK', 'RSHO', 'LSHO', 'SACR', 'ELBX']
    folder = folder_of(tmp_path, walk__c3d=mocap.c3d(points * 1000, names))
    packed = converted(c3d, folder, layout=stick)
    assert packed.layout.name == 'markers5' and packed.channels == ('x', 'y', 'z')
    points[3] = 0
    order = [names.index(joint) for joint in STICK['joints']]
    np.testing.assert_allclose(packed.clip(0)[0], points[:, order], atol=1e-5)
    with pytest.raises(ConfigError, match=r'have the joints RANK, LANK, RSHO, …, .* name their layout by --layout'):
        converted(c3d, folder)


@pytest.mark.parametrize(('module', 'package', 'name'), [(c3d, 'c3d', 'c3d'), (sleap, 'h5py', 'sleap')])
def test_a_missing_package_is_one_line_that_names_its_extra(tmp_path, monkeypatch, module, package, name):
    monkeypatch.setitem(sys.modules, package, None)
    suffix = {'c3d': 'c3d', 'sleap': 'h5'}[name]
    with pytest.raises(ConfigError, match=rf"need the package {package}: pip install 'skeattn\[{name}\]'") as error:
        converted(module, folder_of(tmp_path, **{f'a__{suffix}': b'1'}))
    assert '\n' not in str(error.value)


@st.composite
def damaged(draw, good):
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 1, 2, 20, len(content)]))
        pieces = st.sampled_from(
            [b'\n', b'{', b'}', b'nan', b'1e999', b'-1', b'JOINT x\n', b',', bytes(4), b'\xff' * 4]
        )
        content[at : at + length] = draw(st.one_of(st.binary(max_size=4), pieces))
    return bytes(content)


def check(module, path, content):
    try:
        found = module.read_clip([(path, content)])
    except DataError as error:
        assert path in str(error) and '\n' not in str(error)
    else:
        assert isinstance(found, NamedClip) and found.keypoint.shape[2:] == (len(found.joints), len(found.channels))


@pytest.mark.slow
@settings(max_examples=200)
@given(data=st.data())
def test_whatever_the_bytes_a_text_reader_answers_or_names_the_file(data):
    module, path, good = data.draw(
        st.sampled_from(
            [
                (bvh, 'a.bvh', mocap.bvh(mocap.values(frames=2))),
                (deeplabcut, 'a.csv', mocap.deeplabcut({'a': dlc_parts('pq')[0], 'b': dlc_parts('pq')[0]})),
            ]
        )
    )
    check(module, path, data.draw(damaged(good) | st.binary(max_size=60)))


@settings(max_examples=100)
@given(data=st.data())
def test_whatever_the_bytes_a_c3d_file_is_read_or_named(data):
    pytest.importorskip('c3d')
    good = mocap.c3d(clip(1, 1, 2, 3)[0], ['A', 'B', 'C'])
    check(c3d, 'a.c3d', data.draw(damaged(good) | st.binary(max_size=60)))


@pytest.mark.parametrize('size', [0, 8, 100, 900])
def test_a_truncated_file_of_sleap_is_named(size):
    pytest.importorskip('h5py')
    with pytest.raises(DataError, match=r'a\.h5: it is no analysis file of SLEAP'):
        sleap.read_clip([('a.h5', mocap.sleap(*mice(), NODES, EDGES)[:size])])


@pytest.mark.parametrize(
    'name', ['LeftKnee', 'left_knee', 'L_Knee', 'knee.L', 'knee_left', 'leftknee', 'LKnee', 'mixamorig:LeftKnee']
)
def test_spellings_of_a_joint_are_one_name(name):
    assert canonical(name) == 'left_knee'


@given(st.lists(st.text('abLRleft_. 1', max_size=6), min_size=1, max_size=6, unique=True), st.data())
def test_a_layout_of_any_names_and_bones_is_sound_or_refused(names, data):
    parents = [0] + [data.draw(st.integers(0, joint - 1)) for joint in range(1, len(names))]
    try:
        layout = derive_layout(names, parents, 'any')
    except ConfigError:
        return
    LAYOUTS.pop(layout.name)
    assert find_joints(names, layout) == list(range(len(names))) and layout.mirror


def test_bones_form_a_tree_from_the_first_or_none():
    assert tree_of(4, [(2, 0), (2, 1), (1, 3)]) == (2, 2, 2, 1)
    assert tree_of(3, [(0, 1), (1, 0)]) is None and tree_of(2, []) is None
