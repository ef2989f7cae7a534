"""A skeleton of one's own: defined in a config or carried by its packed set, and trained like any other."""

import dataclasses
import json
import math

import numpy as np
import pytest

from skeattn.checkpoint import read_checkpoint
from skeattn.datasets import PackedSet, PackedWriter
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.skeletons import LAYOUTS, get_layout
from tests.conftest import ROOT

LAYOUT = """
layout = dict(
    name='stick6',
    joints=['pelvis', 'neck', 'left_hand', 'right_hand', 'left_foot', 'right_foot'],
    parents=['neck', 'neck', 'neck', 'neck', 'pelvis', 'pelvis'],
    mirror=[('left_hand', 'right_hand'), ('left_foot', 'right_foot')],
    parts=dict(
        trunk=['pelvis', 'neck'],
        left_arm=['left_hand'], right_arm=['right_hand'], left_leg=['left_foot'], right_leg=['right_foot'],
    ),
    hip=['left_foot', 'right_foot'],
    spine=['pelvis', 'neck'],
    shoulders=['left_hand', 'right_hand'],
)
"""


def definition():
    names = {}
    exec(LAYOUT, names)
    return names['layout']


def write(out, layout):
    rng = np.random.default_rng(0)
    protocols = {'xsub': {'field': 'subject', 'train': [1]}}
    with PackedWriter(out, 'mine', layout, ['a', 'b', 'c', 'd'], protocols) as writer:
        for i in range(12):
            motion = rng.normal(size=(1, 20, 6, 3)).cumsum(axis=1).astype(np.float32)
            writer.add(f'c{i}', motion, label=i % 4, subject=1 + i % 3 // 2)
    return out


def config(folder, lines=LAYOUT):
    (folder / 'mine.py').write_text(
        f"_base_ = '{ROOT}/configs/skeattnclr/stgcn_demo.py'\n"
        + lines.replace('layout = dict(', 'layout = dict(_delete_=True,')
        + f"dataset = dict(data='{folder / 'set'}')\nwork_dir = '{folder / 'run'}'\nbatch_size = 4\nmax_iters = 2\n"
    )
    return read_config(folder / 'mine.py', {'model.queue.size': 16, 'evaluation.evaluators': None})


def test_a_set_carries_its_layout(tmp_path):
    with pytest.raises(ConfigError, match="unknown skeleton layout 'stick6'"):
        get_layout('stick6')
    packed = PackedSet.open(write(tmp_path / 'set', definition()))
    layout = packed.layout
    assert json.loads((tmp_path / 'set/manifest.json').read_text())['layout']['joints'][1] == 'neck'
    del LAYOUTS['stick6']  # as in a process that has read no config
    again = PackedSet.open(tmp_path / 'set')
    assert again.layout == layout == get_layout('stick6')
    assert again.layout.hip == (4, 5)
    np.testing.assert_array_equal(again.clip(3), packed.clip(3))


def test_sets_whose_layouts_of_one_name_differ_are_not_mixed(tmp_path):
    write(tmp_path / 'set', definition())
    LAYOUTS['stick6'] = dataclasses.replace(get_layout('stick6'), hip=0)
    with pytest.raises(ConfigError, match="'stick6' exists already"):
        PackedSet.open(tmp_path / 'set')


def test_the_layout_of_a_config_reaches_every_place_by_name(tmp_path):
    resolved = resolve_config(config(tmp_path))
    assert resolved.dataset.layout == resolved.model.backbone.layout == resolved.layout == 'stick6'
    assert get_layout('stick6').parents == (1, 1, 1, 1, 0, 0)
    assert resolve_config(resolved).to_dict() == resolved.to_dict()


def test_the_layout_that_the_documentation_defines_is_one(tmp_path):
    text = (ROOT / 'docs/datasets/layouts.md').read_text()
    (tmp_path / 'mine.py').write_text(text.split('```python\n')[1].split('```')[0].replace("'../", f"'{ROOT}/configs/"))
    resolved = resolve_config(read_config(tmp_path / 'mine.py'))
    assert resolved.model.backbone.layout == 'stick6' and resolved.dataset.data == 'data/mine'
    assert get_layout('stick6').spine == (0, 1) and get_layout('stick6').mirrored == (0, 1, 3, 2, 5, 4)


def test_a_config_may_name_a_layout_that_only_its_set_defines(tmp_path):
    with pytest.raises(ConfigError, match="unknown skeleton layout 'stick6'"):
        resolve_config(config(tmp_path, "layout = 'stick6'\n"))
    write(tmp_path / 'set', definition())
    del LAYOUTS['stick6']
    assert resolve_config(config(tmp_path, "layout = 'stick6'\n")).layout == 'stick6'
    assert get_layout('stick6').hip == (4, 5)


def test_a_module_of_ones_own_may_register_it(tmp_path, monkeypatch):
    (tmp_path / 'my_layouts.py').write_text(f'from skeattn.skeletons import get_layout\n{LAYOUT}\nget_layout(layout)\n')
    monkeypatch.syspath_prepend(tmp_path)
    cfg = config(tmp_path, "custom_imports = dict(imports=['my_layouts'])\nlayout = 'stick6'\n")
    assert resolve_config(cfg).model.data_preprocessor.layout == 'stick6'
    assert get_layout('stick6').num_joints == 6


@pytest.mark.slow
@pytest.mark.parametrize('where', ['config', 'set'])
def test_training_and_resuming_on_a_layout_of_ones_own(tmp_path, where):
    write(tmp_path / 'set', definition())
    del LAYOUTS['stick6']
    cfg = config(tmp_path, LAYOUT if where == 'config' else "layout = 'stick6'\n")
    runner = SkeAttnRunner.from_cfg(cfg)
    runner.train()
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == 2 and all(map(math.isfinite, losses))
    newest = next((tmp_path / 'run').glob('*.pth'))
    assert read_checkpoint(newest)['meta']['layout'] == 'stick6'
    again = read_config(tmp_path / 'run/mine.py', {'max_iters': 3})
    again.resume = True
    runner = SkeAttnRunner.from_cfg(again)
    runner.train()
    assert runner.iter == 3
