"""The page on custom data agrees with the tools: its config trains on data converted by its commands."""

import math
import re

import numpy as np
import pytest

from skeattn.apis import embed
from skeattn.datasets import PackedSet, PackedWriter
from skeattn.datasets.converters import plain
from skeattn.datasets.synthetic import CLASSES
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config
from tests.conftest import ROOT
from tests.datasets.detector import detections
from tests.engine.toy import tool

PAGE = (ROOT / 'docs/datasets/own_data.md').read_text()
CONFIG = next(block for block in re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL) if block.startswith('_base_'))


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Detections of generated clips, converted as on the page."""
    folder = tmp_path_factory.mktemp('walk')
    (folder / 'poses').mkdir()
    rows = ['name,label,subject,split']
    for i, (clip, detected) in enumerate(detections(24)):
        np.save(folder / f'poses/clip_{i:03d}.npy', detected)
        rows.append(f'clip_{i:03d},{CLASSES[clip.label]},{clip.subject},{"test" if i % 3 == 0 else "train"}')
    (folder / 'poses/labels.csv').write_text('\n'.join(rows))
    plain.convert(folder / 'poses', folder / 'mine', layout='coco17', channels='x,y,score', strict=True)
    return folder / 'mine'


def train(data, folder, text, **changes):
    """Two iterations of a config's text over the set."""
    path = folder / 'mine.py'
    path.write_text(text)
    options = {
        'dataset.data': str(data),
        'batch_size': 4,
        'max_iters': 2,
        'evaluation.evaluators': None,
        'default_hooks.checkpoint': None,
        'visualizer.vis_backends': [{'type': 'LocalVisBackend'}],
        'work_dir': str(folder / 'run'),
    }
    cfg = read_config(path, {**options, **changes})
    if 'queue' in cfg.model:
        cfg.model.queue.size = 32
    runner = SkeAttnRunner.from_cfg(cfg)
    runner.train()
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == 2 and all(map(math.isfinite, losses))
    return runner


@pytest.mark.slow
@pytest.mark.parametrize('stream', ['joint', 'motion', 'bone'])
def test_the_config_of_the_page_trains_two_iterations(data, tmp_path, stream):
    runner = train(data, tmp_path, CONFIG, stream=stream)
    assert runner.model.encoder_q.backbone.in_channels == 3
    clips = runner.train_dataloader.dataset.clips
    assert clips.shape == (16, 3, 64, 17, 1)
    assert clips[:, 2].min() >= 0 and 0.5 < clips[:, 2].max() <= 1  # scores
    detected = [PackedSet.open(data).clip(i) for i in range(3)]
    assert np.isfinite(embed(runner.model, detected, runner.cfg.dataset.pipeline)).all()


@pytest.mark.slow
@pytest.mark.parametrize('scored', [True, False])
@pytest.mark.parametrize(
    'method', ['aimclr', 'crossclr', 'hiclr', 'pstl', 'skelemixclr', 'skelemixclr_plus', 'supervised']
)
def test_every_method_trains_in_two_dimensions(data, tmp_path, method, scored):
    text = CONFIG.replace('skeattnclr', method)
    options = {'stream': ['joint', 'motion', 'bone']} if method == 'crossclr' else {}
    if method == 'supervised':
        options['num_classes'] = len(CLASSES)
        text = text.replace('small_runtime', 'supervised_runtime')
    if method == 'pstl':
        text = text.replace('small_runtime', 'small_single_encoder_runtime')
    if not scored:
        with_scores = PackedSet.open(data)
        classes, protocols = with_scores.classes, with_scores.manifest['protocols']
        data = tmp_path / 'flat'
        with PackedWriter(data, 'flat', 'coco17', classes, protocols, columns=['split_side']) as writer:
            for i, name in enumerate(with_scores.table['name'].tolist()):
                row = {column: int(with_scores.table[column][i]) for column in ('label', 'split_side')}
                writer.add(name, with_scores.clip(i)[..., :2], **row)
        text = text.replace(", 'score'", '')
    runner = train(data, tmp_path, text, **options)
    assert runner.train_dataloader.dataset.clips.shape[1] == 2 + scored


def test_the_commands_of_the_page_are_known_to_the_tools():
    commands = re.findall(r'^skeattn convert (.*)$', PAGE, re.MULTILINE)
    formats = set()
    for command in commands:
        args = [token for token in command.replace('[', '').replace(']', '').split() if token != '\\']
        formats.add(tool('convert').parser().parse_args(args).format)
    assert formats == {
        'plain', 'pyskl', 'stgcn_arrays', 'ctrgcn', 'openpose', 'alphapose', 'mediapipe', 'kinetics', 'mmpose', 'coco',
        'bvh', 'c3d', 'sleap', 'deeplabcut',
    }  # fmt: skip
