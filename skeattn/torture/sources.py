"""Small intact files of every format that is converted."""

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from skeattn.skeletons import get_layout

JOINTS = ('hip', 'spine', 'neck', 'left', 'right', 'head')


def draw(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers between 0.5 and 1.5 that follow from the seed."""
    return (0.5 + np.random.default_rng(seed).random(shape)).round(4).astype(np.float32)


def rows_of(values: np.ndarray, separator: str = ' ') -> str:
    """A line of text for each row."""
    return ''.join(separator.join(f'{value:.6g}' for value in row) + '\n' for row in values)


def numbered(values: np.ndarray) -> np.ndarray:
    """Rows with their numbers before them, from 1."""
    return np.column_stack([np.arange(1, len(values) + 1), values])


def labels(folder: Path, *clips: str) -> None:
    """A table with a class for each clip."""
    rows = [f'{name},{number}' for number, name in enumerate(clips)]
    (folder / 'labels.csv').write_text('\n'.join(['name,label', *rows, '']))


def ntu(folder: Path) -> None:
    """Two .skeleton files of NTU RGB+D."""
    for name in ('S001C001P001R001A001', 'S001C002P003R002A050'):
        lines = ['4']
        for frame in draw(len(name), (4, 25, 3)):
            lines += ['1', '72057594037931101 0 1 1 1 1 0 0.01 -0.3 2', '25']
            lines += [f'{x:.7g} {y:.7g} {z:.7g} 256.4 201.8 991.1 511.1 -0.2 0.01 0.9 -0.05 2' for x, y, z in frame]
        (folder / f'{name}.skeleton').write_text('\n'.join(lines) + '\n')


def zipped(make: Callable[[Path], Any], folder: Path) -> None:
    """The files of another format in one archive."""
    make(folder)
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    with zipfile.ZipFile(folder / 'raw.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(folder).as_posix())
            file.unlink()


def pkummd(folder: Path) -> None:
    """Two recordings of PKU-MMD with labels and both splits."""
    for seed, name in enumerate(('0002-L', '0003-R')):
        video = draw(seed, (12, 150))
        text = '\n'.join(' '.join(f'{value:.7g}' for value in row) for row in video) + '\n'
        for part, content in (('Skeleton', text), ('Label', '8,3,9,2\n51,2,12,1\n')):
            (folder / part).mkdir(exist_ok=True)
            (folder / part / f'{name}.txt').write_text(content)
    (folder / 'Split').mkdir()
    for name in ('cross-subject', 'cross-view'):
        (folder / f'Split/{name}.txt').write_text('Training videos:\n0002-L\nValidation videos:\n0003-R\n')


def nwucla(folder: Path) -> None:
    """Two .json files of NW-UCLA."""
    for name in ('a01_s01_e00_v01', 'a02_s02_e01_v03'):
        (folder / f'{name}.json').write_text(json.dumps({'skeletons': draw(1, (3, 20, 3)).tolist()}))


def utdmhad(folder: Path) -> None:
    """Two .mat files of UTD-MHAD, one of them compressed."""
    for number in (1, 2):
        savemat(folder / f'a{number}_s1_t1_skeleton.mat', {'d_skel': draw(number, (20, 3, 5)).astype(float)},
                do_compression=number == 2)  # fmt: skip


def pyskl(folder: Path) -> None:
    """An annotation pickle with three clips."""
    clips = [
        {'frame_dir': f'clip{i}', 'label': i % 2, 'img_shape': (1080, 1920), 'original_shape': (1080, 1920),
         'total_frames': 4, 'keypoint': draw(i, (1, 4, 17, 2)) * 500, 'keypoint_score': draw(i, (1, 4, 17)) / 2}
        for i in range(3)
    ]  # fmt: skip
    names = [clip['frame_dir'] for clip in clips]
    content = {'split': {'xsub_train': names[:2], 'xsub_val': names[2:]}, 'annotations': clips}
    (folder / 'data.pkl').write_bytes(pickle.dumps(content, 4))


def stgcn_arrays(folder: Path) -> None:
    """Arrays and label pickles of ST-GCN."""
    for seed, side in enumerate(('train', 'val')):
        np.save(folder / f'{side}_data_joint.npy', draw(seed, (3, 3, 4, 25, 2)))
        names = [f'S001C001P00{seed + 1}R{i:03d}A{i + 1:03d}.skeleton' for i in range(3)]
        (folder / f'{side}_label.pkl').write_bytes(pickle.dumps((names, [0, 1, 2])))


def ctrgcn(folder: Path) -> None:
    """An .npz file of CTR-GCN."""
    arrays = {f'x_{side}': draw(seed, (3, 4, 150)) for seed, side in enumerate(('train', 'test'))}
    arrays |= {'y_train': np.eye(3), 'y_test': np.eye(3)}
    np.savez(folder / 'data.npz', **arrays)  # type: ignore[arg-type]


def layout(folder: Path) -> None:
    """A layout of six joints."""
    content = {'name': 'torture6', 'joints': JOINTS, 'parents': ['hip', 'hip', 'spine', 'neck', 'neck', 'neck'],
               'mirror': [['left', 'right']], 'parts': {'trunk': JOINTS[:3], 'rest': JOINTS[3:]}, 'hip': 'hip',
               'spine': ['hip', 'neck'], 'shoulders': ['left', 'right']}  # fmt: skip
    (folder / 'layout.json').write_text(json.dumps(content))


def plain(folder: Path) -> None:
    """An array, a table and JSON under one layout, with labels."""
    layout(folder)
    (folder / 'raw').mkdir()
    np.save(folder / 'raw/a.npy', draw(0, (4, 6, 3)))
    rows = draw(1, (4, 18))
    (folder / 'raw/b.csv').write_text('\n'.join(','.join(f'{value:.4f}' for value in row) for row in rows))
    (folder / 'raw/c.json').write_text(json.dumps({'keypoint': draw(2, (1, 4, 6, 3)).tolist()}))
    (folder / 'raw/labels.csv').write_text('name,label,subject,split\na,walk,1,train\nb,run,2,test\nc,walk,2,test\n')


def openpose(folder: Path) -> None:
    """Three frames of OpenPose."""
    for frame in range(3):
        person = {'person_id': [-1], 'pose_keypoints_2d': draw(frame, (75,)).tolist()}
        path = folder / f'clip_{frame:012d}_keypoints.json'
        path.write_text(json.dumps({'version': 1.3, 'people': [person]}))
    labels(folder, 'clip')


def alphapose(folder: Path) -> None:
    """Results of AlphaPose."""
    found = [
        {'image_id': f'{frame}.jpg', 'keypoints': draw(frame, (51,)).tolist(), 'score': 2.5, 'idx': 1}
        for frame in range(3)
    ]
    (folder / 'clip.json').write_text(json.dumps(found))
    labels(folder, 'clip')


def mediapipe(folder: Path) -> None:
    """Landmarks of MediaPipe."""
    frames = [[dict(zip(('x', 'y', 'z', 'visibility'), map(float, joint), strict=True)) for joint in draw(t, (33, 4))]
              for t in range(3)]  # fmt: skip
    (folder / 'clip.json').write_text(json.dumps({'frames': frames}))
    labels(folder, 'clip')


def kinetics(folder: Path) -> None:
    """A clip of Kinetics-skeleton."""
    person = {'pose': draw(0, (36,)).tolist(), 'score': draw(1, (18,)).tolist()}
    frames = [{'frame_index': t + 1, 'skeleton': [person]} for t in range(3)]
    (folder / 'clip.json').write_text(json.dumps({'data': frames, 'label': 'walk', 'label_index': 3}))


def mmpose(folder: Path) -> None:
    """Predictions of MMPose with names of joints, and without."""
    for seed, name in enumerate('ab'):
        people = [
            {'keypoints': pose[:, :2].tolist(), 'keypoint_scores': pose[:, 2].tolist(), 'track_id': 1}
            for pose in draw(seed, (3, 17, 3))
        ]
        frames = [{'frame_id': t, 'instances': [person]} for t, person in enumerate(people)]
        meta = {'keypoint_id2name': {str(i): joint for i, joint in enumerate(get_layout('coco17').joints)}}
        content = {'meta_info': meta, 'instance_info': frames} if name == 'a' else frames
        (folder / f'{name}.json').write_text(json.dumps(content))
    labels(folder, 'a', 'b')


def coco(folder: Path) -> None:
    """Results of two clips in one file, and the images that they are of."""
    images = [{'id': 10 * i + t, 'file_name': f'{name}/{t:06d}.jpg', 'video_id': i, 'frame_id': t}
              for i, name in enumerate('ab') for t in range(3)]  # fmt: skip
    videos = [{'id': i, 'name': name} for i, name in enumerate('ab')]
    found = [{'image_id': image['id'], 'category_id': 1, 'keypoints': draw(i, (51,)).tolist(), 'score': 0.9}
             for i, image in enumerate(images)]  # fmt: skip
    (folder / 'raw').mkdir()
    (folder / 'raw/results.json').write_text(json.dumps(found))
    (folder / 'images.json').write_text(json.dumps({'images': images, 'videos': videos}))
    labels(folder / 'raw', 'a', 'b')


_BONES = (
    ('Hips', -1), ('Spine', 0), ('Head', 1), ('LeftArm', 1), ('LeftHand', 3), ('RightArm', 1), ('RightHand', 5),
    ('LeftUpLeg', 0), ('LeftFoot', 7), ('RightUpLeg', 0), ('RightFoot', 9),
)  # fmt: skip


def bvh(folder: Path) -> None:
    """Two .bvh files of eleven joints."""

    def lines(joint: int) -> list[str]:
        name, parent = _BONES[joint]
        children = [i for i, (_, above) in enumerate(_BONES) if above == joint]
        places = 'Xposition Yposition Zposition ' if parent < 0 else ''
        inner = [f'OFFSET {joint % 3 - 1} {joint % 2 + 1} 0',
                 f'CHANNELS {6 if places else 3} {places}Zrotation Xrotation Yrotation']  # fmt: skip
        inner += [line for child in children for line in lines(child)]
        inner += [] if children else ['End Site', '{', 'OFFSET 0 1 0', '}']
        return [f'{"ROOT" if parent < 0 else "JOINT"} {name}', '{', *inner, '}']

    for seed, name in enumerate('ab'):
        rows = [' '.join(f'{value:.4f}' for value in row) for row in 50 * draw(seed, (3, 3 + 3 * len(_BONES)))]
        text = ['HIERARCHY', *lines(0), 'MOTION', f'Frames: {len(rows)}', 'Frame Time: 0.0083', *rows, '']
        (folder / f'{name}.bvh').write_text('\n'.join(text))
    labels(folder, 'a', 'b')


def c3d(folder: Path) -> None:
    """A .c3d file of six markers."""
    import c3d as package

    layout(folder)
    (folder / 'raw').mkdir()
    writer = package.Writer(point_rate=100, point_scale=-1.0, point_units='mm')
    for frame in draw(0, (3, len(JOINTS), 5)) * 1000:
        frame[:, 3:] = 0
        writer.add_frames([(frame, np.zeros((0, 1)))])
    writer.set_point_labels(list(JOINTS))
    with open(folder / 'raw/a.c3d', 'wb') as file, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # it has no analogue channels
        writer.write(file)
    labels(folder / 'raw', 'a')


def sleap(folder: Path) -> None:
    """An analysis file of SLEAP with two tracks."""
    import h5py

    nodes = ('hip', 'neck', 'head', 'left_arm', 'right_arm', 'left_leg', 'right_leg')
    with h5py.File(folder / 'a.analysis.h5', 'w') as file:
        file['tracks'] = draw(0, (2, 2, len(nodes), 3))
        file['point_scores'] = draw(1, (2, len(nodes), 3)) / 2
        file['node_names'] = [name.encode() for name in nodes]
        file['edge_inds'] = np.array([(0, 1), (1, 2), (1, 3), (1, 4), (0, 5), (0, 6)])
    labels(folder, 'a')


def deeplabcut(folder: Path) -> None:
    """A table of DeepLabCut with two individuals."""
    layout(folder)
    (folder / 'raw').mkdir()
    columns = [(who, joint, value) for who in ('one', 'two') for joint in JOINTS for value in ('x', 'y', 'likelihood')]
    header = zip(('individuals', 'bodyparts', 'coords'), zip(*columns, strict=True), strict=True)
    rows = [['scorer', *['DLC'] * len(columns)], *([name, *values] for name, values in header)]
    rows += [[str(t), *map(str, values)] for t, values in enumerate(draw(0, (3, len(columns))).tolist())]
    (folder / 'raw/aDLC_resnet50.csv').write_text('\n'.join(','.join(row) for row in rows))
    labels(folder / 'raw', 'a')


def msraction3d(folder: Path) -> None:
    """Four text files of MSR Action3D."""
    for seed, name in enumerate(('a06_s01_e01', 'a06_s02_e01', 'a14_s01_e02', 'a14_s02_e02')):  # in all three subsets
        (folder / f'{name}_skeleton3D.txt').write_text(rows_of(draw(seed, (60, 4))))


def kard(folder: Path) -> None:
    """Two text files of KARD."""
    for seed, name in enumerate(('a01_s03_e02', 'a18_s04_e01')):
        (folder / f'{name}_realworld.txt').write_text(rows_of(draw(seed, (45, 3)) * 1000))


def sbu(folder: Path) -> None:
    """Two text files of SBU Kinect Interaction."""
    for seed, place in enumerate(('s01s02/01/001', 's06s03/08/002')):
        (folder / place).mkdir(parents=True)
        (folder / place / 'skeleton_pos.txt').write_text(rows_of(numbered(draw(seed, (3, 90)) / 2), ','))


def florence3d(folder: Path) -> None:
    """The text file of Florence 3D with two videos."""
    facts = np.repeat([[1, 1, 1], [2, 2, 9]], 3, axis=0)
    rows = np.column_stack([facts, draw(0, (6, 45)) * 1000])
    (folder / 'Florence_dataset_WorldCoordinates.txt').write_text(rows_of(rows))


def utkinect(folder: Path) -> None:
    """Two recordings of UTKinect with their actions."""
    (folder / 'joints').mkdir()
    for seed, name in enumerate(('s01_e01', 's10_e02')):
        (folder / f'joints/joints_{name}.txt').write_text(rows_of(numbered(draw(seed, (6, 60)))))
    lists = 's01_e01\nwalk: 1 3\nsitDown: 4 6\ncarry: NaN NaN\ns10_e02\nclapHands: 1 6\n'
    (folder / 'actionLabel.txt').write_text(lists)


def msrc12(folder: Path) -> None:
    """Two recordings of MSRC-12 with their tags."""
    times = np.arange(8) * 33_333 + 1_000_000
    for seed, (name, gesture) in enumerate((('P1_1_12A_p06', 12), ('P2_2_3_p07', 3))):
        seen = draw(seed, (8, 20, 4))
        seen[..., 3] = 1
        lines = [f'{time} {row}' for time, row in zip(times, rows_of(seen.reshape(8, 80)).splitlines(), strict=True)]
        (folder / f'{name}.csv').write_text('\n'.join(lines))
        tags = [f'{round(time * 49.875)};G{gesture} Kick' for time in times[[2, 6]].tolist()]
        (folder / f'{name}.tagstream').write_text('\n'.join(['XQPCTick;Tag', *tags, '']))


def mixed(folder: Path) -> None:
    """Files and folders that are read without a conversion, each format in a folder of its own."""
    for make in (ntu, nwucla, utdmhad, openpose, alphapose, mediapipe, kinetics):
        (folder / make.__name__).mkdir()
        make(folder / make.__name__)
    pyskl(folder)
    (folder / 'data.pkl').rename(folder / 'pyskl.pkl')
    np.save(folder / 'array.npy', draw(0, (1, 4, 25, 3)))
    (folder / 'table.csv').write_text(rows_of(draw(1, (4, 75)), ','))
