"""Every config trains, on generated clips of its own layout."""

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from torch import nn

from skeattn.augment.functional import derive_stream
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config, resolve_config
from tests.configs.leaves import ABLATIONS, LEAVES, name_of
from tests.conftest import ROOT
from tests.engine.toy import write_set

pytestmark = pytest.mark.slow

# Encoders that take minutes, at a width that trains in a second.
NARROWER = {
    'BIGRU': dict(hidden_channels=16),
    'DSTA': dict(widths=(8,) * 7 + (16,), inner_widths=(2,) * 8),
    'SkeletonTransformer': dict(out_channels=32, num_heads=4),
    'RotaryTransformer': dict(out_channels=32, num_heads=4),
}
JOINT = ROOT / 'configs/skeletonclr/stgcn_nwucla_xview.py'


@pytest.fixture(scope='session')
def sets(tmp_path_factory) -> dict[str, Path]:
    """A packed set of each layout."""
    folder = tmp_path_factory.mktemp('sets')
    return {layout: write_set(folder / layout, layout, clips=8, test_clips=2) for layout in ('ntu25', 'kinect20')}


@pytest.fixture(scope='session')
def trained(tmp_path_factory) -> Path:
    """A folder for notes on what has been trained, one for all processes of the test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / 'trained'
    folder.mkdir(exist_ok=True)
    return folder


def two_iterations(path: Path, **options: Any) -> Config:
    """A config file, shortened; its data set is named after the layout."""
    less = {
        'batch_size': 4,
        'max_iters': 2,
        'dataset.split': 'xsub',
        'evaluation.evaluators': None,
        'default_hooks.checkpoint': None,
        'visualizer.vis_backends': [{'type': 'LocalVisBackend'}],
    }
    cfg = read_config(path, {**less, **options})
    cfg.dataset.data = cfg.layout
    if isinstance(cfg.layout, list):
        cfg.num_classes = 3 * len(cfg.layout)
    cfg.model.backbone.update(NARROWER.get(cfg.model.backbone.type, {}))
    if cfg.model.type == 'STARS':
        cfg.load_from, cfg.model.from_scratch = None, True
    if 'queue' in cfg.model:
        cfg.model.queue.size = 64
    if 'projector' in cfg.model and cfg.model.projector.hidden_channels > 1024:
        cfg.model.projector.update(hidden_channels=64, out_channels=64)
    if 'prototypes' in cfg.model.get('projector', {}):
        cfg.model.projector.prototypes = 64
    schedules = cfg.get('param_scheduler') or []
    for schedule in schedules if isinstance(schedules, list) else [schedules]:
        if 'warmup' in schedule:  # the first iterations would have learning rate 0
            schedule.warmup = 0
    for rates in ((cfg.optim_wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}).values():
        rates.pop('held', None)
    return cfg


def digest(cfg: Config) -> str:
    """Equal for configs whose trainings are one computation, because they differ in the set's name alone."""
    resolved = resolve_config(cfg).to_dict()
    resolved.pop('num_classes')  # stands in the head, too, where there is one
    return hashlib.sha256(repr(resolved).encode()).hexdigest()


class Watched:
    """A training with the views it saw and the weights it started from."""

    def __init__(self, cfg: Config, sets: dict[str, Path], work_dir: Path) -> None:
        layouts = [cfg.dataset.data] if isinstance(cfg.dataset.data, str) else cfg.dataset.data
        data = [str(sets[layout]) for layout in layouts]
        cfg.dataset.data, cfg.work_dir = data if len(data) > 1 else data[0], str(work_dir)
        self.runner = SkeAttnRunner.from_cfg(cfg)
        self.batches: list[dict[str, Any]] = []
        self.runner.model.data_preprocessor.register_forward_hook(self.note)
        self.runner.train()

    def note(self, preprocessor: nn.Module, arguments: tuple, out: dict[str, Any]) -> None:
        if not self.batches:
            self.start = {name: p.detach().clone() for name, p in self.parameters()}
        self.batches.append(out['inputs'])

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.runner.model.named_parameters() if p.requires_grad]


@pytest.mark.parametrize('path', [*LEAVES, *ABLATIONS], ids=name_of)
def test_a_config_trains_two_iterations(path, sets, trained, tmp_path):
    cfg = two_iterations(path)
    if path in ABLATIONS:  # of one base, whose width is trained as a leaf
        cfg.model.backbone.base_channels //= 8
    note = trained / digest(cfg)
    if note.exists():
        return
    run = Watched(cfg, sets, tmp_path)
    losses, _ = run.runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == len(run.batches) == 2
    assert all(map(math.isfinite, losses)) and min(losses) > 0
    assert all(p.isfinite().all() for _, p in run.parameters())
    still = {name for name, p in run.parameters() if torch.equal(p, run.start[name])}
    # With mu = 1 the non-salient loss has no weight, and weight decay does not move a bias from zero.
    idle = {'predictors.ns.layers.1.bias'} & {name for name, _ in run.parameters()}
    assert still == (idle if cfg.model.get('mu') == 1 else set())
    note.touch()


@pytest.mark.parametrize('method', ['aimclr', 'crossclr', 'hiclr'])
def test_a_config_trains_while_it_mines(method, sets, tmp_path):
    path = ROOT / f'configs/{method}/stgcn_nwucla_xview.py'
    losses = {}
    for begin in (0, 0.5):
        runner = Watched(two_iterations(path, **{'default_hooks.mining.begin': begin}), sets, tmp_path).runner
        assert runner.model.mining is (begin == 0)
        losses[begin], _ = runner.message_hub.get_scalar('train/loss').data
    assert all(map(math.isfinite, losses[0])) and losses[0][0] != losses[0.5][0]


@pytest.mark.parametrize('way', ['option', 'child', 'leaf'])
def test_the_stream_is_trained_however_it_is_asked_for(way, sets, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = '{JOINT}'\nstream = 'bone'\n")
    bone = {
        'option': lambda: two_iterations(JOINT, stream='bone'),
        'child': lambda: two_iterations(child),
        'leaf': lambda: two_iterations(JOINT.with_stem(f'{JOINT.stem}_bone')),
    }
    joints = Watched(two_iterations(JOINT), sets, tmp_path / 'joint')
    bones = Watched(bone[way](), sets, tmp_path / 'bone')
    layout = joints.runner.model.data_preprocessor.layout
    assert len(joints.batches) == len(bones.batches) == 2
    for seen, joint in zip(bones.batches, joints.batches, strict=True):
        for view in ('query', 'key'):  # (N, M, C, T, V), the same draws in both trainings
            expected = derive_stream(joint[view].permute(0, 2, 3, 4, 1), 'bone', layout).permute(0, 4, 1, 2, 3)
            assert torch.equal(seen[view], expected) and not torch.equal(seen[view], joint[view])
