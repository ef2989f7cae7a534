"""Files of motion capture and of trackers with named points, written by hand."""

import io
import warnings

import numpy as np

# name, parent, offset, channels; in the order of a BVH file
SKELETON = (
    ('Hips', -1, (0, 0, 0), 'Xposition Yposition Zposition Zrotation Xrotation Yrotation'),
    ('Spine', 0, (0, 10, 0), 'Zrotation Xrotation Yrotation'),
    ('Neck', 1, (0, 30, 0), 'Zrotation Xrotation Yrotation'),
    ('Head', 2, (0, 10, 0), 'Zrotation Xrotation Yrotation'),
    ('LeftArm', 1, (-15, 25, 0), 'Zrotation Xrotation Yrotation'),
    ('LeftForeArm', 4, (-25, 0, 0), 'Zrotation Xrotation Yrotation'),
    ('LeftHand', 5, (-20, 0, 0), 'Zrotation Xrotation Yrotation'),
    ('RightArm', 1, (15, 25, 0), 'Zrotation Xrotation Yrotation'),
    ('RightForeArm', 7, (25, 0, 0), 'Zrotation Xrotation Yrotation'),
    ('RightHand', 8, (20, 0, 0), 'Zrotation Xrotation Yrotation'),
    ('LeftUpLeg', 0, (-9, 0, 0), 'Zrotation Xrotation Yrotation'),
    ('LeftLeg', 10, (0, -40, 0), 'Zrotation Xrotation Yrotation'),
    ('LeftFoot', 11, (0, -40, 0), 'Zrotation Xrotation Yrotation'),
    ('RightUpLeg', 0, (9, 0, 0), 'Zrotation Xrotation Yrotation'),
    ('RightLeg', 13, (0, -40, 0), 'Zrotation Xrotation Yrotation'),
    ('RightFoot', 14, (0, -40, 0), 'Zrotation Xrotation Yrotation'),
)
NAMES = tuple(name for name, *_ in SKELETON)
PARENTS = tuple(max(parent, 0) for _, parent, *_ in SKELETON)
WIDTH = sum(len(channels.split()) for *_, channels in SKELETON)


def bvh(values, skeleton=SKELETON) -> bytes:
    """A file of ``values (T, channels)``; every leaf has an end site."""

    def lines(joint, depth):
        name, _, offset, channels = skeleton[joint]
        children = [i for i, (_, above, *_) in enumerate(skeleton) if above == joint]
        inner = [f'OFFSET {" ".join(map(str, offset))}', f'CHANNELS {len(channels.split())} {channels}']
        for child in children:
            inner += lines(child, depth + 1)
        inner += [] if children else ['End Site', '{', 'OFFSET 0 1 0', '}']
        return [f'{"JOINT" if depth else "ROOT"} {name}', '{', *inner, '}']

    rows = [' '.join(f'{value:.6f}' for value in row) for row in values]
    text = ['HIERARCHY', *lines(0, 0), 'MOTION', f'Frames: {len(rows)}', 'Frame Time: 0.008333', *rows]
    return '\n'.join([*text, '']).encode()


def values(seed=0, frames=4):
    rng = np.random.default_rng(seed)
    motion = rng.uniform(-60, 60, (frames, WIDTH))
    motion[:, :3] = rng.uniform(80, 100, (frames, 3))
    return motion


def c3d(points, labels, unit='mm') -> bytes:
    """Markers ``(T, V, 3)``; NaN is unseen. ``points`` are in the unit."""
    import c3d as package

    writer = package.Writer(point_rate=100, point_scale=-1.0, point_units=unit)
    for frame in points:
        row = np.zeros((len(labels), 5), np.float32)
        row[:, :3] = np.nan_to_num(frame)
        row[:, 3] = np.where(np.isnan(frame).any(axis=1), -1, 0)
        writer.add_frames([(row, np.zeros((0, 1)))])
    writer.set_point_labels(labels)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # no analog data
        writer.write(stream)
    return stream.getvalue()


def sleap(places, scores, nodes, edges) -> bytes:
    """Places ``(M, T, V, 2)`` and scores ``(M, T, V)``, as SLEAP exports them for analysis."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, 'w') as file:
        file['tracks'] = places.transpose(0, 3, 2, 1)
        file['point_scores'] = scores.transpose(0, 2, 1)
        file['node_names'] = [name.encode() for name in nodes]
        file['edge_inds'] = np.array(edges)
        file['track_names'] = [f'track_{i}'.encode() for i in range(len(places))]
    return stream.getvalue()


def deeplabcut(individuals, coords=('x', 'y', 'likelihood'), scorer='DLC_resnet50') -> bytes:
    """``individuals`` are ``{name: {body part: (T, C)}}``; a single one has no row of individuals."""
    columns = [(who, part, c) for who, parts in individuals.items() for part in parts for c in range(len(coords))]
    rows = [
        ['scorer', *[scorer] * len(columns)],
        *([['individuals', *[who for who, _, _ in columns]]] if len(individuals) > 1 else []),
        ['bodyparts', *[part for _, part, _ in columns]],
        ['coords', *[coords[c] for *_, c in columns]],
    ]
    T = len(next(iter(next(iter(individuals.values())).values())))
    for t in range(T):
        cells = [individuals[who][part][t][c] for who, part, c in columns]
        rows.append([str(t), *('' if np.isnan(cell) else repr(float(cell)) for cell in cells)])
    return '\n'.join(','.join(row) for row in rows).encode()
