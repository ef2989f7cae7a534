"""The page on the small Kinect sets agrees with the converters, and its config trains on what they write."""

import math
import re

import pytest

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters import florence3d, kard, msraction3d, msrc12, sbu, utkinect
from skeattn.datasets.splits import SPLITS
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config
from skeattn.skeletons import get_layout
from tests.conftest import ROOT
from tests.datasets.converters import archives
from tests.engine.toy import tool

PAGE = (ROOT / 'docs/datasets/small_kinect_sets.md').read_text()
SETS = {
    'msraction3d': (msraction3d, 'xsub'),
    'utkinect': (utkinect, 'xsub'),
    'florence3d': (florence3d, 'xsub'),
    'sbu': (sbu, 'fold1'),
    'kard': (kard, 'xsub'),
    'msrc12': (msrc12, 'xsub'),
}


def test_the_commands_of_the_page_are_known_to_the_tool():
    commands = re.findall(r'^python tools/convert\.py (.*)$', PAGE, re.MULTILINE)
    assert [tool('convert').parser().parse_args(command.split()).format for command in commands] == list(SETS)


@pytest.mark.parametrize('name', SETS)
def test_table_converter_and_config_of_a_set_agree(name):
    module, default = SETS[name]
    row = next(line for line in PAGE.splitlines() if f'`convert.py {name}`' in line).split('|')
    cfg = read_config(ROOT / f'configs/_base_/datasets/{name}_{default}.py')
    assert (cfg.dataset.data, cfg.dataset.split) == (f'data/{name}', default)
    assert cfg.num_classes == len(module.ACTIONS) == int(row[3])
    layout = re.search(r'`(\w+)`', row[5])[1]
    assert cfg.layout == layout and row[5].split(',')[0].split()[-1] == str(get_layout(layout).num_joints)
    named, splits = re.findall(r'`(\w+)`', row[6]), list(SPLITS[name])
    assert (named[0], named[-1]) == (splits[0], splits[-1])
    assert cfg.dataset.pipeline.pack.num_persons == (2 if name == 'sbu' else 1)


@pytest.mark.slow
def test_the_config_of_the_page_trains_two_iterations(tmp_path):
    (tmp_path / 'in').mkdir()
    for i in range(10):
        keypoint = archives.poses(i, frames=12)
        keypoint[i % 12, 3] = 0  # not detected
        path = tmp_path / f'in/a{1 + i % 3:02d}_s{1 + i:02d}_e01_skeleton3D.txt'
        path.write_bytes(archives.msraction3d(keypoint))
    msraction3d.convert(tmp_path / 'in', tmp_path / 'set')
    assert [len(side) for side in split(PackedSet.open(tmp_path / 'set'), 'xsub')] == [5, 5]
    text = next(block for block in re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL) if block.startswith('_base_'))
    (tmp_path / 'mine.py').write_text(text.replace("'_base_/", f"'{ROOT}/configs/_base_/"))
    options = {
        'dataset.data': str(tmp_path / 'set'), 'batch_size': 2, 'max_iters': 2, 'evaluation.evaluators': None,
        'default_hooks.checkpoint': None, 'visualizer.vis_backends': [{'type': 'LocalVisBackend'}],
        'work_dir': str(tmp_path / 'run'),
    }  # fmt: skip
    cfg = read_config(tmp_path / 'mine.py', options)
    cfg.model.queue.size = 32
    runner = SkeAttnRunner.from_cfg(cfg)
    runner.train()
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == 2 and all(map(math.isfinite, losses))
