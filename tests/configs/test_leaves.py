"""Every config builds, survives a dump, is what its name says, and shares with the others what it should."""

import ast
from functools import cache, reduce
from pathlib import Path
from typing import Any

import pytest

from skeattn.datasets.transforms import Pipeline
from skeattn.datasets.union import folders_of
from skeattn.engine.config import OrderedConfig, read_config, resolve_config
from skeattn.engine.work_dir import default_work_dir
from skeattn.models import MomentumPretraining
from skeattn.models.momentum import has_key_encoder
from skeattn.models.queue import queues_of
from skeattn.registry import EVALUATORS, HOOKS, MODELS
from tests.configs.leaves import LEAVES, name_of
from tests.conftest import ROOT

METHODS = ('aimclr', 'crossclr', 'hiclr', 'pstl', 'skeattnclr', 'skelemixclr', 'skeletonclr', 'supervised')
TRANSFORMERS = {'mamp': 'transformer', 'slim': 'rotary', 'stars': 'transformer'}
FULL_SETS = ('ntu60_xsub', 'ntu60_xview', 'ntu120_xsub', 'ntu120_xset', 'pkummd1_xsub', 'pkummd2_xsub')
SMALL_SETS = ('nwucla_xview', 'utdmhad_xsub', 'demo')
CLASSES = {'ntu60': 60, 'ntu120': 120, 'pkummd1': 51, 'pkummd2': 51, 'nwucla': 10, 'utdmhad': 27, 'demo': 17}
TOGETHER = {
    'kinect20': (['data/nwucla', 'data/utdmhad'], ['xview', 'xsub']),
    'layouts': (['data/nwucla', 'data/demo'], ['xview', 'xsub']),
}
LAYOUTS = {**dict.fromkeys(('nwucla', 'utdmhad', 'kinect20'), 'kinect20'), 'layouts': ['kinect20', 'ntu25']}
# Of every method one set of each size; tests below show what other streams and data sets share with these.
BUILT_FIRST = ('_demo', 'stgcn_ntu60_xsub', '_ntu60_xsub_released', '_paper', '_plus')
in_part_slow = pytest.mark.parametrize(
    'path',
    [pytest.param(path, marks=[] if path.stem.endswith(BUILT_FIRST) else [pytest.mark.slow]) for path in LEAVES],
    ids=name_of,
)


@cache
def read(path: Path) -> OrderedConfig:
    return read_config(path)


@cache
def built(model: str) -> tuple[str | list[str], bool, bool, bool]:
    """Layout of a model, whether it mines, has a key encoder, has a queue; configs of different data sets share one."""
    network = MODELS.build(ast.literal_eval(model))
    mines, moves, queues = hasattr(network, 'mining'), has_key_encoder(network), bool(queues_of(network))
    return network.data_preprocessor.layout_name, mines, moves, queues


def common(method: str, dataset: str) -> OrderedConfig:
    """The config of a method with the settings that all methods share."""
    suffix = '_common' if method == 'skeattnclr' else ''
    return read(ROOT / f'configs/{method}/stgcn_{dataset}{suffix}.py')


def value(cfg: OrderedConfig, place: str) -> Any:
    return reduce(lambda node, key: node[key], place.split('.'), cfg)


@in_part_slow
def test_a_config_builds(path):
    cfg = resolve_config(read(path))
    layout, mines, moves, queues = built(repr(cfg.model.to_dict()))
    assert layout == cfg.layout
    assert list(Pipeline(cfg.dataset.pipeline).steps)[-1] == 'pack'
    hooks = {name: HOOKS.build(hook) for name, hook in cfg.default_hooks.items()}
    evaluators = {name: EVALUATORS.build(evaluator) for name, evaluator in cfg.val_evaluator.items()}
    assert hooks['checkpoint'].metrics[0].split('/')[0] in evaluators
    assert ('mining' in hooks, 'momentum' in hooks, 'queue' in hooks) == (mines, moves, queues)


@in_part_slow
def test_a_config_survives_dump_and_load(path, tmp_path):
    cfg = read(path)
    (tmp_path / 'dumped.py').write_text(cfg.pretty_text)
    again = read_config(tmp_path / 'dumped.py')
    # repr: the order of pipelines and views matters, too
    assert repr(resolve_config(again).to_dict()) == repr(resolve_config(cfg).to_dict())


@in_part_slow
def test_a_config_is_what_its_name_says(path):
    cfg, (_, dataset, *rest) = read(path), path.stem.split('_')
    split = 'xsub' if dataset in ('demo', *TOGETHER) else rest.pop(0)
    data, split = TOGETHER.get(dataset, (f'data/{dataset}', split))
    stream = rest.pop() if rest and rest[-1] in ('motion', 'bone') else 'joint'
    assert (cfg.dataset.data, cfg.dataset.split) == (data, split)
    assert cfg.num_classes == sum(CLASSES[folder.name] for folder in folders_of(data))
    assert cfg.layout == LAYOUTS.get(dataset, 'ntu25')
    assert cfg.stream == (['joint', 'motion', 'bone'] if path.parent.name == 'crossclr' else stream)
    assert cfg.model.type.lower() == {'supervised': 'recognizer'}.get(path.parent.name, path.parent.name)
    assert rest in ([], ['common'], ['latent'], ['lossy'], ['paper'], ['plus'], ['released'])


def test_every_method_has_every_data_set():
    methods = {path.parent.name for path in LEAVES}
    assert methods == {*METHODS, *TRANSFORMERS}
    for dataset in FULL_SETS + SMALL_SETS:
        for method in METHODS:
            assert common(method, dataset).filename
        for method, backbone in TRANSFORMERS.items():
            assert ROOT / f'configs/{method}/{backbone}_{dataset}.py' in LEAVES


@pytest.mark.parametrize('path', [path for path in LEAVES if path.parent.name == 'stars'], ids=name_of)
def test_stars_tunes_the_encoder_of_the_config_of_the_same_name(path):
    cfg, mamp = read(path), read(ROOT / f'configs/mamp/{path.name}')
    assert cfg.load_from == str(default_work_dir(mamp.filename))
    for place in ('dataset', 'model.backbone', 'model.persons'):
        assert value(cfg, place) == value(mamp, place), place


OF_ALL = (
    'dataset',
    'batch_size',
    'optim_wrapper.optimizer',
    'param_scheduler',
    'train_cfg',
    'model.data_preprocessor.views.query',
    'model.backbone',
    'model.persons',
    'model.init_cfg',
)
OF_MOMENTUM_CONTRAST = (
    'model.data_preprocessor.views.key',
    'model.projector',
    'model.queue',
    'model.loss',
    'model.key_init',
    'default_hooks.momentum',
    'evaluation',
)
# What a method has to itself: its augmentations, and on sets that are not small its schedule.
OWN = {'pstl': ('model.data_preprocessor.views.query',)}
OWN_SCHEDULE = {'pstl': ('optim_wrapper.optimizer', 'param_scheduler', 'train_cfg')}


@pytest.mark.parametrize('dataset', FULL_SETS + SMALL_SETS)
def test_common_configs_differ_in_the_method_alone(dataset):
    configs = {method: common(method, dataset) for method in METHODS}
    reference = configs['skeletonclr']
    for method, cfg in configs.items():
        follows = issubclass(MODELS.get(cfg.model.type), MomentumPretraining)
        own = OWN.get(method, ()) + (OWN_SCHEDULE.get(method, ()) if dataset in FULL_SETS else ())
        for place in OF_ALL + OF_MOMENTUM_CONTRAST if follows else OF_ALL:
            if place in own:
                continue
            assert value(cfg, place) == value(reference, place), (method, place)
    width, frames = (8, 32) if dataset == 'demo' else (16, 64)
    assert reference.model.backbone.base_channels == width
    assert reference.dataset.pipeline.resample.num_frames == frames
    assert reference.train_cfg.max_epochs == {'demo': 28, 'nwucla_xview': 60, 'utdmhad_xsub': 30}.get(dataset, 300)


@pytest.mark.slow
@pytest.mark.parametrize('stream', ['motion', 'bone'])
def test_a_stream_config_differs_from_the_joint_config_in_the_stream_alone(stream):
    for path in (leaf for leaf in LEAVES if leaf.stem.endswith(f'_{stream}')):
        other, joint = read(path).to_dict(), read(path.with_stem(path.stem.removesuffix(f'_{stream}'))).to_dict()
        assert (other.pop('stream'), joint.pop('stream')) == (stream, 'joint')
        if name_of(path) in (f'skeattnclr/stgcn_ntu60_{split}_released_{stream}' for split in ('xsub', 'xview')):
            assert (other['model'].pop('mu'), joint['model'].pop('mu')) == (0.5, 1.0)
        assert other == joint, path
