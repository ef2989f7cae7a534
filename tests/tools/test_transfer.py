"""test.py --dataset: an encoder evaluated on a different set than it was trained on."""

import json

import pytest
import torch

from skeattn.apis import build_splits, load_model
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.retarget import retarget
from skeattn.evaluation import LinearProbe, extract_features
from tests.engine.targets import supervised, write_model, write_target


def save(model, path, **meta):
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)
    return path


@pytest.mark.slow
def test_another_layout_and_another_set_end_to_end(tool, tmp_path):
    config, target = write_model(tmp_path, 'kinect20'), write_target(tmp_path)
    torch.manual_seed(3)
    checkpoint = save(load_model(read_config(config)), tmp_path / 'epoch_1.pth', layout='kinect20')
    status, out, err = tool('test.py', config, checkpoint, '--dataset', target, '--protocol', 'linear')
    assert status == 0, err
    assert f'evaluated on {tmp_path / "set_ntu25"} xsub (ntu25)' in out and '(kinect20), evaluated' in out
    (path,) = tmp_path.glob('test_epoch_1_*.json')
    record = json.loads(path.read_text())
    assert record['data'] == str(tmp_path / 'set_ntu25') and record['pretrained']['layout'] == 'kinect20'
    cfg = resolve_config(retarget(read_config(config), target))
    model = load_model(cfg, checkpoint)
    features = [extract_features(model, part) for part in build_splits(cfg)]
    assert record['sources']['backbone']['metrics']['linear/top1'] == LinearProbe(seed=0)(*features)['top1']


@pytest.mark.slow
def test_overrides_are_those_of_the_target(tool, tmp_path):
    config, target = write_model(tmp_path, 'ntu25'), write_target(tmp_path)
    text = target.read_text()
    target.write_text(text.replace('set_ntu25', 'elsewhere'))
    data = f'dataset.data={tmp_path / "set_ntu25"}'
    line = (config, 'untrained', '--dataset', target, '--protocol', 'linear', '--work-dir', tmp_path)
    status, _, err = tool('test.py', *line, '--cfg-options', data)
    assert status == 0, err
    status, _, err = tool('test.py', *line)
    assert status == 2 and 'elsewhere' in err


@pytest.mark.slow
def test_a_classifiers_logits_are_refused_on_other_classes(tool, tmp_path):
    cfg, target = supervised(tmp_path, classes=3), write_target(tmp_path)
    checkpoint = save(load_model(cfg), tmp_path / 'a.pth')
    line = (tmp_path / 'supervised.py', checkpoint, '--dataset', target)
    status, _, err = tool('test.py', *line, '--protocol', 'linear')
    assert status == 0, err
    (path,) = tmp_path.glob('test_a_*.json')
    assert list(json.loads(path.read_text())['sources']) == ['backbone']
    status, _, err = tool('test.py', *line, '--source', 'logits')
    assert status == 2 and 'no classifier for these classes' in err


def test_a_target_that_is_not_there_is_named(tool, tmp_path):
    config = write_model(tmp_path, 'ntu25')
    status, _, err = tool('test.py', config, 'untrained', '--dataset', tmp_path / 'nowhere.py')
    assert status == 2 and 'nowhere.py' in err
