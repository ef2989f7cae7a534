"""One encoder for several layouts through the Runner: trained, resumed, and evaluated on one that it never saw."""

import math
import shutil

import pytest
import torch

from skeattn.apis import embed, load_model
from skeattn.checkpoint import read_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.retarget import retarget
from skeattn.errors import ConfigError, DataError
from skeattn.protocols.evaluate import Evaluation
from skeattn.skeletons import get_layout
from tests.engine.runs import assert_equal_state, logged
from tests.engine.targets import write_target
from tests.engine.toy import write_set
from tests.models.masked import layouts_config

QUIET = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}
LAYOUTS = ['ntu25', 'openpose18']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('layouts')
    write_set(folder / 'other', LAYOUTS[1], clips=10, test_clips=3)
    return write_set(folder / 'set')


def config(folder, data, **options):
    return layouts_config(folder, LAYOUTS, data=data, **options)


def run(folder, data, **options):
    runner = SkeAttnRunner.from_cfg(config(folder, data, **options))
    runner.train()
    return runner


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp('trained')
    run(folder, data)
    return folder


def test_batches_of_both_layouts_train_all_words(tmp_path, data):
    runner = SkeAttnRunner.from_cfg(config(tmp_path, data, max_iters=4, **QUIET))
    names, seen = runner.model.encoder.backbone.names, []
    before = names.table.detach().clone()
    runner.model.data_preprocessor.register_forward_hook(
        lambda _, arguments, out: seen.append(out['inputs']['query'].shape[4])
    )
    runner.train()
    assert sorted(seen) == [18, 25, 25, 25]
    assert len(names.words) == 21 and ((names.table != before).any(dim=0)).all()


@pytest.mark.slow
def test_resuming_continues_bit_for_bit(tmp_path, data):
    whole, on = tmp_path / 'whole', tmp_path / 'on'
    for folder in (whole, on / 'run'):
        folder.mkdir(parents=True)
    run(whole, data, **QUIET)
    shutil.copy(whole / 'run/epoch_1.pth', on / 'run')
    run(on, data, resume=True, **QUIET)
    lines = logged(whole / 'run')
    assert len({line['loss'] for line in lines}) == 12 and all(math.isfinite(line['loss']) for line in lines)
    assert logged(on / 'run') == lines[4:]
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_3.pth') for folder in (on, whole)))
    meta = read_checkpoint(whole / 'run/epoch_3.pth')['meta']
    assert meta['layout'] == LAYOUTS and meta['dataset']['layout'] == LAYOUTS


@pytest.mark.slow
@pytest.mark.parametrize('layout', ['coco17', 'kinect20'])
def test_a_layout_that_was_never_seen_is_evaluated(tmp_path, data, trained, layout):
    cfg = config(tmp_path, data)
    new = resolve_config(retarget(cfg, write_target(tmp_path, layout)))
    assert list(new.dataset.pipeline) == ['centre', 'resample', 'pack'] and new.layout == LAYOUTS
    evaluation = Evaluation(new, trained / 'run/epoch_3.pth', ['knn'], [], readouts=['mean', 'joints'])
    assert evaluation.test.layout == get_layout(layout)
    record = evaluation.run(tmp_path / 'record.json')
    widths = {'backbone': 16, 'backbone@joints': 16 * evaluation.test.layout.num_joints}
    assert {*record.sources} == {*widths}
    untrained = Evaluation(new, None, ['knn'], []).run(tmp_path / 'untrained.json')
    assert untrained.sources['backbone'].parameters == record.sources['backbone'].parameters


def test_unknown_words_are_refused_before_anything_is_read(tmp_path, data):
    with pytest.raises(ConfigError, match=r"layout 'sbu15' .*'torso' \(torso\). It knows those of ntu25, openpose18"):
        retarget(config(tmp_path, data), write_target(tmp_path, 'sbu15'))


def test_a_joint_that_is_not_known_can_be_left_out(tmp_path, data):
    step = "\ndataset['pipeline'] = dict(to_layout=dict(type='ToLayout', layout='kinect20'), **dataset['pipeline'])\n"
    target = write_target(tmp_path, 'ntu25', step)
    assert next(iter(retarget(config(tmp_path, data), target).dataset.pipeline)) == 'to_layout'


def test_the_readout_joints_does_not_compare_clips_of_several_layouts(tmp_path, data):
    runner = SkeAttnRunner.from_cfg(config(tmp_path, data, evaluation__readout='joints'))
    with pytest.raises(ConfigError, match='cannot be compared joint by joint; use the readout'):
        runner.val()


def test_arrays_are_embedded_in_the_layout_that_they_have(tmp_path, data, trained):
    cfg = config(tmp_path, data)
    model = load_model(cfg, trained / 'run/epoch_3.pth')
    clip = torch.randn(20, 17, 3).numpy() + 1
    assert embed(model, [clip], cfg.dataset.pipeline, layout='coco17').shape == (1, 16)
    with pytest.raises(DataError, match="layout 'ntu25' needs"):
        embed(model, [clip], cfg.dataset.pipeline, layout='ntu25')


def test_a_config_of_other_layouts_does_not_load_the_checkpoint(tmp_path, data, trained):
    cfg = config(tmp_path, data)
    cfg.layout = ['ntu25', 'coco17']
    with pytest.raises(Exception, match=r"trained with layout=\['ntu25', 'openpose18'\]"):
        load_model(cfg, trained / 'run/epoch_3.pth')


def test_the_layouts_can_be_given_on_the_command_line(tmp_path, data):
    config(tmp_path, data)
    cfg = read_config(tmp_path / 'toy.py', {'layout': 'ntu25,kinect20'})
    resolved = resolve_config(cfg)
    assert resolved.layout == ['ntu25', 'kinect20'] and resolved.dataset.type == 'MultiLayoutDataset'
    assert resolved.model.backbone.layout == resolved.model.data_preprocessor.layout == resolved.layout
    assert repr(resolve_config(resolved).to_dict()) == repr(resolved.to_dict())
