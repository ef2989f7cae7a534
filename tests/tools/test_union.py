"""A training on two sets and its evaluation on each, by the command line."""

import json

import pytest

from skeattn.cli import parse_value
from skeattn.engine.build import build_splits
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.resume import compare, run_facts
from skeattn.engine.retarget import retarget
from skeattn.errors import ConfigError
from tests.engine.targets import write_target
from tests.engine.toy import write_config, write_set


@pytest.fixture
def sets(tmp_path):
    """Two sets of three classes, as they stand on a command line."""
    return [write_set(tmp_path / name, clips=clips, test_clips=6) for name, clips in (('one', 18), ('two', 24))]


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path, 'skeletonclr', 'num_classes = 6\nevaluation = dict(evaluators=dict(linear=None))\n')


def listed(sets):
    return f'dataset.data={[str(folder) for folder in sets]}'


@pytest.mark.slow
def test_trained_on_two_sets_and_evaluated_on_each(tool, config, sets, tmp_path):
    run, options = tmp_path / 'run', ('--cfg-options', listed(sets), 'max_iters=5')
    status, _, err = tool('train.py', config, '--work-dir', run, *options)
    assert status == 0, err
    target = write_target(tmp_path)
    names = {}
    for folder in sets:
        of_one = tmp_path / f'{folder.name}.py'
        of_one.write_text(f"_base_ = './{target.name}'\nlayout = 'ntu25'\ndataset = dict(data='{folder}')\n")
        line = (config, run, '--dataset', of_one, '--protocol', 'knn', '--out', tmp_path / f'{folder.name}.json')
        status, out, err = tool('test.py', *line)
        assert status == 0, err
        pretrained = f'{" + ".join(map(str, sets))} xsub (ntu25)'
        assert f'pre-trained on {pretrained}, evaluated on {folder} xsub (ntu25)' in out
        record = json.loads((tmp_path / f'{folder.name}.json').read_text())
        assert record['pretrained']['data'] == [*map(str, sets)] and record['pretrained']['split'] == 'xsub'
        assert (record['data'], record['split'], record['training']['clips_seen']) == (str(folder), 'xsub', 40)
        names[folder.name] = [*record['sources']['backbone']['protocols']['knn']['per_class']]
        assert record['clips']['train'] == {'one': 18, 'two': 24}[folder.name]
    assert names['one'] == names['two'] == ['class0', 'class1', 'class2']
    line = (config, run, '--protocol', 'knn', 'finetune', '--out', tmp_path / 'both.json', *options)
    status, _, err = tool('test.py', *line, 'protocols.finetune.train_cfg.max_epochs=1')
    assert status == 0, err
    record = json.loads((tmp_path / 'both.json').read_text())
    assert record['data'] == ' + '.join(map(str, sets)) and record['clips']['train'] == 42
    classes = [f'{name}/class{i}' for name in ('one', 'two') for i in range(3)]
    results = {name: part for source in record['sources'].values() for name, part in source['protocols'].items()}
    assert [*results['knn']['per_class']] == [*results['finetune']['per_class']] == classes
    assert results['finetune']['labelled']['clips'] == 42


def test_an_inherited_number_of_classes_is_refused_with_the_right_one(sets, config, tmp_path):
    options = {'dataset.data': [*map(str, sets)], 'num_classes': 3}
    with pytest.raises(ConfigError, match=r'num_classes=3, .*3 of .*one \+ 3 of .*two; set num_classes=6'):
        resolve_config(read_config(config, options))
    resolve_config(read_config(config, {**options, 'num_classes': None}))
    resolve_config(read_config(config, {**options, 'dataset.data': [str(sets[0]), 'gone']}))  # reported when it is read


def test_a_list_of_splits_needs_no_brackets_that_of_sets_does(sets, config):
    options = {'dataset.data': parse_value(listed(sets).partition('=')[2]), 'dataset.split': 'xsub,all'}
    cfg = resolve_config(read_config(config, options))
    assert cfg.dataset.data == [*map(str, sets)]
    train, test = build_splits(cfg)
    assert len(train) == 18 + 30 and {name.partition('/')[0] for name in test.names} == {'one'}


def test_a_folder_with_a_comma_in_its_name_is_one_set(config, tmp_path):
    folder = write_set(tmp_path / 'one, two', clips=4, test_clips=2)
    assert read_config(config, {'dataset.data': str(folder)}).dataset.data == str(folder)


def changes(then, cfg):
    return [difference.key for difference in compare(then, run_facts(cfg, None)) if not difference.harmless]


def test_a_resumed_training_knows_its_sets_by_their_content(sets, config, tmp_path):
    cfg = read_config(config, {'dataset.data': [*map(str, sets)]})
    then = run_facts(cfg, None)
    moved = sets[0].rename(tmp_path / 'moved')
    cfg.dataset.data = [str(moved), str(sets[1])]
    assert changes(then, cfg) == []
    cfg.dataset.data = cfg.dataset.data[::-1]
    assert changes(then, cfg) == ['dataset.data']


def test_an_encoder_of_one_set_is_evaluated_on_several(sets, config, tmp_path):
    target = tmp_path / 'both.py'
    target.write_text(
        f"_base_ = './{write_target(tmp_path).name}'\nnum_classes = 6\ndataset = dict(data={[*map(str, sets)]})\n"
    )
    train, _ = build_splits(resolve_config(retarget(read_config(config), target)))
    assert len(train) == 42 and train.classes[3] == 'two/class0'
