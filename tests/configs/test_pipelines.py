"""One line of a child config lays the clean pipeline over any data set."""

from pathlib import Path

import numpy as np
import pytest

from skeattn.datasets.transforms import Pipeline
from skeattn.engine.config import OrderedConfig, read_config, resolve_config
from skeattn.skeletons import get_layout
from tests.conftest import ROOT
from tests.datasets.raw import clip

BASES = ROOT / 'configs/_base_'
# The raw sets are read as they are: nothing is resampled there.
SETS = sorted(path for path in (BASES / 'datasets').glob('*.py') if 'raw' not in path.stem and path.stem != 'layouts')
"""Sets of one layout."""


def laid_over(path: Path, pipeline: str, folder: Path, lines: str = '') -> OrderedConfig:
    child = folder / 'child.py'
    merge = "_base_.merge(_base_.pop('clean'))"
    child.write_text(f"_base_ = ['{path}', '{BASES}/pipelines/{pipeline}.py']\n{merge}\n{lines}")
    return read_config(child)


@pytest.mark.parametrize('reference', ['first', 'frame'])
@pytest.mark.parametrize('path', SETS, ids=lambda path: path.stem)
def test_a_set_takes_the_clean_pipeline_with_its_own_frames_and_persons(path, reference, tmp_path):
    cfg = laid_over(path, {'first': 'clean', 'frame': 'clean_centred'}[reference], tmp_path)
    steps, released = cfg.dataset.pipeline, read_config(path).dataset.pipeline
    assert list(steps) == ['trim', 'fill', 'centre', 'resample', 'align', 'pack']
    assert (steps.centre.joint, steps.centre.reference, steps.align.mode) == ('hip', reference, 'body_first')
    assert (steps.resample.num_frames, steps.resample.length) == (released.resample.num_frames, 'all')
    assert steps.pack == released.pack
    layout = get_layout(cfg.layout)
    keypoint = clip(persons=2, frames=9, joints=layout.num_joints)
    inputs = Pipeline(steps)({'keypoint': keypoint, 'layout': layout, 'name': 'c', 'total_frames': 9})['inputs']
    assert inputs.shape == (3, steps.resample.num_frames, layout.num_joints, steps.pack.num_persons)
    hip = np.asarray(inputs)[:, :, np.atleast_1d(layout.hip)].mean(axis=2)
    np.testing.assert_allclose(hip[:, 0, 0], 0, atol=1e-6)
    # Per frame the hip stays in the origin, otherwise it goes where the person goes.
    assert (np.abs(hip).max() > 1e-2) == (reference == 'first')


def test_a_whole_config_changes_in_the_pipeline_alone(tmp_path):
    leaf = ROOT / 'configs/skeattnclr/stgcn_nwucla_xview.py'
    clean = resolve_config(laid_over(leaf, 'clean', tmp_path, "stream = 'bone'\n"))
    released = resolve_config(read_config(leaf, {'stream': 'bone'}))
    assert list(clean.train_dataloader.dataset.pipeline)[:2] == ['trim', 'fill']
    for cfg in (clean, released):
        for place in (cfg, cfg.train_dataloader, cfg.val_dataloader.bank, cfg.val_dataloader.test):
            place.pop('dataset') if 'dataset' in place else place.pop('pipeline')
        cfg.test_dataloader = None
    assert clean.to_dict() == released.to_dict()


def test_a_child_changes_or_removes_a_clean_step(tmp_path):
    lines = 'dataset = dict(pipeline=dict(fill=dict(longest=3), trim=None, resample=dict(num_frames=50)))\n'
    steps = resolve_config(laid_over(SETS[0], 'clean', tmp_path, lines)).dataset.pipeline
    assert list(steps) == ['fill', 'centre', 'resample', 'align', 'pack']
    assert (steps.fill.longest, steps.resample.num_frames) == (3, 50)


def test_the_places_for_clean_steps_leave_the_released_pipeline_as_it_is():
    """A resolved config does not show them, so that the identity of a run does not depend on them."""
    steps = resolve_config(read_config(BASES / 'datasets/ntu60_xsub.py')).dataset.pipeline
    assert list(steps) == ['centre', 'resample', 'align', 'pack']


def test_the_pipeline_of_2d_sets_fills_missing_joints_before_any_step_reads_them():
    """Kind F1: the documented recipe had no step that filled."""
    steps = read_config(BASES / 'pipelines/pose2d.py').dataset.pipeline
    assert list(steps) == ['trim', 'fill', 'scale', 'centre', 'resample', 'pack']
    layout, keypoint = get_layout('coco17'), 100 * clip(frames=9, joints=17)
    keypoint[..., 2] = 0.5
    lost = keypoint.copy()
    lost[0, 4, layout.hip] = [np.nan, np.nan, 0]
    lost[0, :, 10] = [np.nan, np.nan, 0]
    facts = {'layout': layout, 'channels': ('x', 'y', 'score'), 'name': 'c', 'total_frames': 9}
    out = Pipeline(steps)({**facts, 'keypoint': lost})
    assert np.isfinite(out['inputs']).all() and not out['missing'].any()
    np.testing.assert_allclose(out['inputs'][:, :, layout.hip, 0].mean(axis=2)[:2], 0, atol=1e-5)


def test_the_lossy_demo_loses_joints_before_it_fills_them():
    """A new step before ``centre`` would come after the slot of ``fill``, and nothing would be filled."""
    steps = read_config(BASES.parent / 'skeattnclr/stgcn_demo_lossy.py').dataset.pipeline
    assert list(Pipeline(steps.to_dict()).steps) == ['lose', 'fill', 'centre', 'resample', 'align', 'pack']
