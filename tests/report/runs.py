"""Small work_dirs with everything that a report reads: checkpoint, log, record, and a packed set."""

import json
import shutil
from pathlib import Path

import numpy as np

from skeattn.datasets import PackedWriter
from skeattn.skeletons import get_layout
from tests.engine.toy import toy_runner
from tests.results.records import write_record
from tests.visualization.logs import write_log

HOSTILE = '</script><img src=x onerror="document.documentElement.dataset.hacked=1">'
CLASSES = [HOSTILE, 'wave both hands', 'a & b <i>c</i>']
TRAIN, TEST = 24, 21
METRICS = {
    'skeattnclr': {'linear/top1': 71.25, 'knn/top1_k1': 61.5},
    'skeletonclr': {'linear/top1': 62.125, 'knn/top1_k1': 58.0},
}
BASE = [[5, 2, 0], [1, 6, 0], [3, 0, 4]]
OURS = [[6, 1, 0], [1, 6, 0], [1, 0, 6]]


def standing() -> np.ndarray:
    """A pose ``(V, 3)`` of NTU's joints that resembles a person."""
    layout, places = get_layout('ntu25'), {}
    across = {'left': 1, 'right': -1}
    for joint, name in enumerate(layout.joints):
        words = name.replace('_', ' ').split()
        side = next((across[word] for word in words if word in across), 0)
        height = {'ankle': 0.1, 'foot': 0.0, 'knee': 0.5, 'hip': 0.95, 'wrist': 0.95, 'hand': 0.85, 'elbow': 1.15}
        y = next((at for part, at in height.items() if part in name), None)
        y = y if y is not None else {'shoulder': 1.45, 'head': 1.75, 'neck': 1.55}.get(words[-1], 1.2)
        places[joint] = [0.2 * side, y, 3.0 + 0.01 * joint]
    pose = np.array([places[joint] for joint in range(layout.num_joints)])
    pose[[0, 1, 20]] = [[0, 0.95, 3.0], [0, 1.2, 3.0], [0, 1.45, 3.0]]
    return pose


def write_set(folder: Path) -> Path:
    """Clips of one and two persons, three hostile or awkward classes, two views, subjects 1 to 6; 4 to 6 test."""
    rng, pose = np.random.default_rng(3), standing()
    splits = {'xsub': {'field': 'subject', 'train': [1, 2, 3]}}
    with PackedWriter(folder, 'toy', 'ntu25', CLASSES, splits) as writer:
        for i in range(TEST + TRAIN):
            frames, persons = int(rng.integers(18, 30)), 1 + (i % 7 == 0)
            time = np.linspace(0, 2 * np.pi, frames)[:, None]
            clip = np.tile(pose, (persons, frames, 1, 1)) + rng.normal(0, 0.01, (persons, 1, 25, 3))
            clip[1:, :, :, 0] += 0.8
            for hand in ((7, 6), (11, 10), (6, 10))[i % 3]:
                clip[:, :, hand, 1] += 0.4 * np.abs(np.sin(time * (1 + i % 3)))[:, 0]
            subject = 4 + i % 3 if i < TEST else 1 + i % 3
            facts = {'label': i % 3, 'subject': subject, 'camera': 1 + i % 2}
            writer.add(f'clip{i:03d}', clip.astype(np.float32), **facts)
    return folder


def write_run(folder: Path, model: str, data: Path) -> Path:
    """A work_dir: an epoch of training of a method, a longer log of more epochs, and a record."""
    options = {'train_cfg__max_epochs': 1, 'evaluation__interval': 5, 'dataset__pipeline__pack__num_persons': 2}
    folder.mkdir(parents=True)
    toy_runner(folder, model=model, data=data, work_dir=str(folder), num_classes=3, **options).train()
    for log in folder.glob('*/vis_data'):
        shutil.rmtree(log.parent)
    write_log(folder, '20270101_000000', log_lines(4.0 if model == 'skeattnclr' else 3.0))
    metrics = METRICS[model]
    record = folder / 'test_epoch_1.json'
    name, confusion = ('SkeAttnCLR', OURS) if model == 'skeattnclr' else ('SkeletonCLR', BASE)
    baselines = {'raw coordinates': {'linear/top1': 55.0, 'knn/top1_k1': 44.5}}
    write_record(record, confusion, name, classes=CLASSES, checkpoint='epoch_1.pth', baselines=baselines)
    content = json.loads(record.read_text())
    content['sources']['backbone']['metrics'] = metrics
    record.write_text(json.dumps(content))
    return folder


def log_lines(loss: float) -> list[dict]:
    """Four epochs of two iterations, with a value that is not finite."""
    lines: list[dict] = []
    for epoch in range(1, 5):
        for iteration in (2 * epoch - 1, 2 * epoch):
            value = float('nan') if iteration == 3 else loss / iteration
            lines.append({'loss': value, 'L_s': value / 2, 'epoch': epoch, 'iter': iteration, 'step': iteration})
        lines.append({'knn/top1_k1': 40.0 + epoch, 'step': epoch})
    return lines
