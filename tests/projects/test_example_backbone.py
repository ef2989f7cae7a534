"""The commands of the example's README find it; it keeps the contract and trains."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from projects.example_backbone.joint_tcn import JointTCN
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.registry import MODELS
from tests.conftest import ROOT
from tests.engine.toy import write_set

PROJECT = ROOT / 'projects/example_backbone'
CONFIG = PROJECT / 'skeattnclr_joint_tcn_demo.py'
COMMANDS = re.findall(r'^PYTHONPATH=(\S+) python (.*)$', (PROJECT / 'README.md').read_text(), re.MULTILINE)


@pytest.mark.parametrize(('frames', 'rows'), [(32, 8), (30, 8), (29, 8), (1, 1)])
@pytest.mark.parametrize(('layout', 'joints', 'channels'), [('ntu25', 25, 3), ('coco17', 17, 2)])
def test_clips_become_a_map(layout, joints, channels, frames, rows):
    backbone = JointTCN(layout, channels)
    found = backbone(torch.randn(3, 2, channels, frames, joints))
    assert found.shape == (3, 2, backbone.out_channels, rows, joints)
    assert rows == -(-frames // backbone.temporal_stride)


def test_each_person_is_encoded_alone_and_joints_learn_from_each_other():
    torch.manual_seed(0)
    backbone = JointTCN('ntu25').eval()
    for block in backbone.blocks:
        torch.nn.init.normal_(block.joints)
    x = torch.randn(1, 2, 3, 16, 25)
    moved = x.clone()
    moved[:, 0, :, :, 7] += 1
    change = (backbone(moved) - backbone(x)).abs().amax(dim=(2, 3))[0]
    assert (change[0] > 0).all() and (change[1] == 0).all()


def test_the_example_is_more_than_a_linear_map():
    """Kind N7: examples are evaluated by whether they learn; one linear convolution was below an untrained ST-GCN."""
    torch.manual_seed(0)
    backbone = JointTCN('ntu25').eval()
    x, y = torch.randn(2, 1, 2, 3, 16, 25)
    linear = backbone(x) + backbone(y) - backbone(torch.zeros_like(x))
    assert (backbone(x + y) - linear).abs().max() > 0.01


def test_layout_and_channels_come_from_the_top_of_the_config():
    cfg = read_config(CONFIG, {'layout': 'coco17', 'channels': ['x', 'y', 'score']})
    backbone = MODELS.build(resolve_config(cfg).model).encoder_q.backbone
    assert backbone.norm.num_features == 3 * 17 and backbone.blocks[0].joints.shape == (17, 17)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ({'model.backbone.type': 'JointTNC'}, "model.backbone: type='JointTNC' .* did you mean 'JointTCN'"),
        ({'model.backbone.witdhs': [4]}, "model.backbone: JointTCN takes no 'witdhs'; did you mean 'widths'"),
    ],
)
def test_a_typo_is_reported_with_its_place_and_the_nearest_name(option, message):
    with pytest.raises(ConfigError, match=message):
        resolve_config(read_config(CONFIG, option))


@pytest.fixture
def data(tmp_path) -> Path:
    """A small set where the config looks for one."""
    return write_set(tmp_path / 'data/demo', clips=12, test_clips=4)


SHORT = {'batch_size': 4, 'max_iters': 2, 'model.queue.size': 16}


def test_skeattnclr_trains_two_iterations_on_it(data, tmp_path):
    options = {'dataset.data': str(data), 'work_dir': str(tmp_path / 'run'), 'evaluation.evaluators': None}
    runner = SkeAttnRunner.from_cfg(read_config(CONFIG, {**SHORT, **options, 'default_hooks.checkpoint': None}))
    weight = runner.model.encoder_q.backbone.blocks[0].joints
    before = weight.detach().clone()
    runner.train()
    assert runner.iter == 2 and weight.isfinite().all() and not torch.equal(weight, before)


@pytest.mark.slow
def test_the_commands_of_the_readme_work_from_the_root(data, tmp_path):
    for part in ('configs', 'tools', 'projects', 'skeattn'):
        (tmp_path / part).symlink_to(ROOT / part)
    trained, evaluated = (run(command, tmp_path, path) for path, command in COMMANDS)
    assert 'Epoch(train) [1][2/2]' in trained or 'epoch_1.pth' in trained
    assert 'untrained, 3 seeds' in evaluated and 'epoch_1' in evaluated


@pytest.mark.slow
def test_it_works_as_well_outside_the_checkout(data, tmp_path):
    (tmp_path / 'mine').mkdir()
    shutil.copy(PROJECT / 'joint_tcn.py', tmp_path / 'mine')
    text = CONFIG.read_text().replace('../../configs', f'{ROOT}/configs').replace('projects.example_backbone.', '')
    (tmp_path / 'mine/config.py').write_text(text)
    found = run(f'{ROOT}/tools/train.py mine/config.py', tmp_path, os.pathsep.join(['mine', str(ROOT)]))
    assert 'work_dirs/config/epoch_1.pth' in found
    path = os.pathsep.join(['mine', str(ROOT)])
    embed = ('embed', 'work_dirs/config', data, '--out', 'a.npz', '--device', 'cpu')
    refused = started(['-m', 'skeattn', *embed], tmp_path, path)
    assert refused.returncode == 2 and 'commands: --import MODULE' in refused.stderr
    unknown = started(['-m', 'skeattn', *embed, '--import', 'joint_tnc'], tmp_path, path)
    assert unknown.returncode == 2 and "--import joint_tnc: No module named 'joint_tnc'" in unknown.stderr
    done = started(['-m', 'skeattn', *embed, '--import', 'joint_tcn'], tmp_path, path)
    assert done.returncode == 0 and 'wrote a.npz: 16 clips' in done.stdout, done.stderr


def run(command: str, folder: Path, path: str) -> str:
    """What a command line of the README prints, shortened to two iterations."""
    less = {'evaluation.interval': 1, 'evaluation.evaluators.knn.k': '1,2', 'evaluation.evaluators.linear.epochs': 2}
    less |= {'default_hooks.checkpoint.save_best': 'linear/top1', **SHORT}
    options = [f'{key}={value}' for key, value in less.items()]
    done = started([*command.split(), '--cfg-options', *options], folder, path)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def started(arguments: list[object], folder: Path, path: str) -> subprocess.CompletedProcess[str]:
    """A Python process in a folder, with its modules on a path."""
    environment = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
