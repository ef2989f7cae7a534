"""Clips without labels: every format of clips packs them on request, and such a set pre-trains."""

import json
import math

import numpy as np
import pytest

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import (
    alphapose,
    bvh,
    c3d,
    coco,
    deeplabcut,
    kinetics,
    mediapipe,
    mmpose,
    openpose,
    plain,
    pyskl,
    sleap,
)
from skeattn.engine import SkeAttnRunner
from skeattn.errors import DataError
from skeattn.skeletons import get_layout
from tests.datasets.converters import mocap
from tests.datasets.converters.pickles import annotation, saved
from tests.datasets.raw import clip
from tests.engine.toy import toy_config

BODY = clip(1, 1, 4, 17)[0].astype(float)
ROWS = [{'image_id': t, 'keypoints': pose.ravel().tolist(), 'score': 1} for t, pose in enumerate(BODY)]
FILES = {
    plain: ('v.json', json.dumps(BODY.tolist())),
    openpose: ('v_0_keypoints.json', json.dumps({'people': [{'pose_keypoints_2d': BODY[0].ravel().tolist()}]})),
    alphapose: ('v.json', json.dumps(ROWS)),
    coco: ('v.json', json.dumps(ROWS)),
    mmpose: ('v.json', json.dumps([{'frame_id': 0, 'instances': [{'keypoints': BODY[0].tolist()}]}])),
    mediapipe: ('v.json', json.dumps([clip(1, 1, 1, 33)[0, 0].tolist()])),
    kinetics: (
        'v.json',
        json.dumps({'data': [{'frame_index': 1, 'skeleton': [{'pose': [0.5] * 36, 'score': [1] * 18}]}]}),
    ),
    bvh: ('v.bvh', mocap.bvh(mocap.values())),
    deeplabcut: (
        'v.csv',
        mocap.deeplabcut({'': dict(zip(get_layout('coco17').joints, BODY.swapaxes(0, 1), strict=True))}),
    ),
}


def written(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize('module', FILES, ids=lambda module: module.__name__.split('.')[-1])
def test_every_format_packs_clips_without_labels_when_none_are_given(tmp_path, module):
    source = written(tmp_path / 'in', *FILES[module])
    options = {'layout': 'coco17'} if module is plain else {}
    if module is not kinetics:  # its own files may hold labels, so that none need be given
        with pytest.raises(DataError, match='--labels none for clips without labels'):
            module.convert(source, tmp_path / 'out', **options)
        options['labels'] = 'none'
    module.convert(source, tmp_path / 'out', **options)
    packed = PackedSet.open(tmp_path / 'out')
    assert packed.table['name'].tolist() == ['v'] and packed.table['label'].tolist() == [-1]
    assert [side.tolist() for side in split(packed, 'all')] == [[0], []]


def test_tracks_and_markers_without_labels(tmp_path):
    pytest.importorskip('h5py')
    pytest.importorskip('c3d')
    nodes = ('nose', 'left_ear', 'right_ear')
    places = clip(1, 1, 4, 3).astype(float)
    content = mocap.sleap(places[..., :2], places[..., 2], nodes, [(0, 1), (0, 2)])
    sleap.convert(written(tmp_path / 'sleap', 'v.h5', content), tmp_path / 'out1', labels='none')
    joints = get_layout('kinect20').joints
    content = mocap.c3d(clip(1, 1, 4, 20)[0] * 1000, joints)
    c3d.convert(written(tmp_path / 'c3d', 'v.c3d', content), tmp_path / 'out2', labels='none')
    for out in ('out1', 'out2'):
        assert PackedSet.open(tmp_path / out).table['label'].tolist() == [-1]


def test_annotations_of_pyskl_without_labels(tmp_path):
    first = {key: value for key, value in annotation(0).items() if key != 'label'}
    pyskl.convert(saved(tmp_path, [first]), tmp_path / 'out', 'coco17')
    assert PackedSet.open(tmp_path / 'out').table['label'].tolist() == [-1]


@pytest.mark.slow
def test_a_set_without_labels_in_a_layout_made_of_its_files_pre_trains(tmp_path):
    for i in range(16):
        written(tmp_path / 'in', f'c{i:02d}.bvh', mocap.bvh(mocap.values(i, frames=18)))
    bvh.convert(tmp_path / 'in', tmp_path / 'set', labels='none', scale=0.01)
    layout = PackedSet.open(tmp_path / 'set').layout
    cfg = toy_config(tmp_path, data=tmp_path / 'set', layout=layout.name, dataset__split='all')
    runner = SkeAttnRunner.from_cfg(cfg)
    runner.train()
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert losses.size and all(map(math.isfinite, losses)) and np.isfinite(runner.train_dataloader.dataset.clips).all()
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'no evaluation: ' in log and 'has a label' in log
