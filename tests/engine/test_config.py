"""Settings at the top of a config reach every place, and contradictions are refused."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from skeattn.augment.functional import derive_stream
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import evaluates_in_autocast, read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.registry import DATASETS
from skeattn.renaming import note_renamed
from tests.conftest import ROOT
from tests.engine.toy import toy_config, toy_runner, write_config


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('config')
    write_config(folder)
    return folder


def evaluation_input(cfg: Config, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The backbone's input for a clip, and its expected input for the bone stream."""
    cfg.work_dir = str(folder / 'run')
    preprocessor = SkeAttnRunner.from_cfg(cfg).model.data_preprocessor
    clips = torch.randn(2, 3, 16, 25, 1, generator=torch.Generator().manual_seed(0))
    bones = derive_stream(clips, 'bone', preprocessor.layout).permute(0, 4, 1, 2, 3)
    return preprocessor({'inputs': clips}, training=False)['inputs']['clip'], bones


def test_stream_given_as_an_option_reaches_the_preprocessor(folder):
    seen, bones = evaluation_input(read_config(folder / 'toy.py', {'stream': 'bone'}), folder)
    assert torch.equal(seen, bones)


def test_stream_set_by_a_child_config_reaches_the_preprocessor(folder):
    child = folder / 'child.py'
    child.write_text("_base_ = './toy.py'\nstream = 'bone'\n")
    seen, bones = evaluation_input(read_config(child), folder)
    assert torch.equal(seen, bones)


def test_stream_set_at_the_leaf_alone_contradicts_the_top_level(folder):
    cfg = read_config(folder / 'toy.py', {'model.data_preprocessor.stream': 'bone'})
    with pytest.raises(ConfigError, match=r"stream gives 'joint', but model\.data_preprocessor\.stream='bone'"):
        resolve_config(cfg)


def test_stream_set_at_the_leaf_as_at_the_top_level_is_fine(folder):
    options = {'stream': 'bone', 'model.data_preprocessor.stream': 'bone'}
    seen, bones = evaluation_input(read_config(folder / 'toy.py', options), folder)
    assert torch.equal(seen, bones)


def test_a_backbone_of_another_layout_contradicts_the_top_level(folder):
    cfg = read_config(folder / 'toy.py', {'model.backbone.layout': 'kinect20'})
    with pytest.raises(ConfigError, match=r"layout gives 'ntu25', but model\.backbone\.layout='kinect20'"):
        resolve_config(cfg)


def test_a_config_for_another_layout_than_the_data_fails_before_training(folder):
    runner = toy_runner(folder, layout='kinect20')
    with pytest.raises(ConfigError, match=r"layout='kinect20', but .* layout 'ntu25'"):
        runner.train()


def test_every_place_is_filled(folder):
    cfg = toy_config(folder, stream='motion', evaluation__batch_size=7, max_iters=5)
    out = resolve_config(cfg, world_size=4)
    assert out.model.data_preprocessor.stream == 'motion'
    assert {out.model.data_preprocessor.layout, out.model.backbone.layout, out.dataset.layout} == {'ntu25'}
    assert out.train_dataloader.batch_size == 2 and out.train_dataloader.sampler.batch_size == 8
    assert out.train_dataloader.dataset.part == 'train'
    assert {name: item.part for name, item in out.val_dataloader.items()} == {'bank': 'train', 'test': 'test'}
    assert out.val_cfg.batch_size == 7 and list(out.val_evaluator) == ['knn']
    assert out.train_cfg.val_interval == 2 and out.train_cfg.max_iters == 5
    assert out.randomness.seed == 0


def test_resolving_leaves_its_argument_alone_and_twice_is_once(folder):
    cfg = toy_config(folder)
    before = cfg.to_dict()
    once = resolve_config(cfg, world_size=2)
    assert cfg.to_dict() == before
    assert resolve_config(once, world_size=2).to_dict() == once.to_dict()


def test_a_dumped_config_can_be_changed_in_one_place_and_run_again(folder):
    runner = toy_runner(folder)
    dumped = read_config(Path(runner.work_dir) / 'toy.py', {'stream': 'bone', 'batch_size': 4})
    seen, bones = evaluation_input(dumped, folder)
    assert torch.equal(seen, bones)
    assert resolve_config(dumped).train_dataloader.batch_size == 4


def test_a_batch_that_does_not_divide_among_processes_is_an_error(folder):
    with pytest.raises(ConfigError, match=r'batch_size=8 .* 3 processes'):
        resolve_config(toy_config(folder), world_size=3)


def test_a_batch_larger_than_the_training_set_is_an_error(folder):
    with pytest.raises(ConfigError, match=r'batch_size=27 .* 26 clips'):
        toy_runner(folder, batch_size=27).train()


def test_no_evaluator_means_no_evaluation(folder):
    out = resolve_config(toy_config(folder, evaluation__evaluators__knn=None))
    assert out.get('val_cfg') is None and out.get('val_dataloader') is None


@pytest.mark.parametrize(
    ('option', 'name', 'near'),
    [
        ('model__type', 'SkeAtnCLR', 'SkeAttnCLR'),
        ('model__backbone__type', 'STGNC', 'STGCN'),
        ('dataset__type', 'SkeletonDatset', 'SkeletonDataset'),
        ('optim_wrapper__optimizer__type', 'SGDD', 'SGD'),
        ('optim_wrapper__type', 'AutocastWrapper', 'AutocastOptimWrapper'),
        ('param_scheduler__type', 'MultiStepLr', 'MultiStepLR'),
        ('default_hooks__momentum__type', 'MomentumHook', 'MomentumUpdateHook'),
        ('train_cfg__type', 'EpochLop', 'EpochLoop'),
        ('evaluation__evaluators__knn__type', 'KNNEvaluater', 'KNNEvaluator'),
        ('model__data_preprocessor__views__query__crop__type', 'Crops', 'Crop'),
    ],
)
def test_an_unknown_component_is_named_with_its_nearest_match(folder, option, name, near):
    with pytest.raises(ConfigError, match=rf'{name}.*did you mean .*{near}'):
        toy_runner(folder, **{option: name})


def test_an_option_with_a_typing_error_is_refused(folder):
    with pytest.raises(ConfigError, match="no 'strem'; did you mean 'stream'"):
        read_config(folder / 'toy.py', {'strem': 'bone'})


def test_a_missing_config_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r'nowhere\.py'):
        read_config(tmp_path / 'nowhere.py')


def test_the_dumped_config_keeps_the_order_of_pipeline_and_views(folder):
    cfg = toy_config(folder)
    dumped = read_config(Path(SkeAttnRunner.from_cfg(cfg).work_dir) / 'toy.py')
    assert list(dumped.dataset.pipeline) == ['centre', 'resample', 'pack']
    assert list(dumped.model.data_preprocessor.views) == ['query', 'key', 'mix']
    assert dumped.to_dict() == cfg.to_dict()


def test_an_evaluation_option_with_a_typing_error_is_refused(folder):
    with pytest.raises(ConfigError, match="evaluation has no 'intervall'; did you mean 'interval'"):
        resolve_config(toy_config(folder, evaluation__intervall=5))


def test_a_cosine_decay_ends_with_the_last_epoch_unless_set_otherwise(folder):
    cosine = dict(type='CosineAnnealingLR', _delete_=True)
    for settings, period in (({}, 7), ({'T_max': 5}, 5)):
        cfg = toy_config(folder, param_scheduler={**cosine, **settings}, train_cfg__max_epochs=7)
        assert resolve_config(cfg).param_scheduler.T_max == period


@pytest.mark.parametrize(
    ('settings', 'by_iteration'), [({}, True), ({'by_epoch': False}, True), ({'by_epoch': True}, False)]
)
def test_a_warm_up_knows_the_length_of_the_training_and_changes_rates_in_every_iteration(
    folder, settings, by_iteration
):
    warmup = dict(type='WarmupCosineLR', warmup=2, _delete_=True)
    once = resolve_config(toy_config(folder, param_scheduler={**warmup, **settings}, train_cfg__max_epochs=7))
    assert once.param_scheduler.epochs == 7 and once.param_scheduler.convert_to_iter_based == by_iteration
    assert resolve_config(once).to_dict() == once.to_dict()


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ({'optim_wrapper__optimizer__lrr': 1}, r'optim_wrapper\.optimizer: .*lrr'),
        ({'train_cfg__max_epoch': 1}, r'train_cfg: .*max_epoch'),
        ({'param_scheduler__gama': 1}, r'param_scheduler: .*gama'),
        ({'param_scheduler': dict(type='WarmupCosineLR', _delete_=True, warm_up=3)}, r"no 'warm_up'.*warmup"),
        ({'param_scheduler': dict(type='WarmupCosineLR', _delete_=True, warmup=-1)}, r'warmup=-1 must be a number'),
        ({'optim_wrapper__constructor': 'LayerDecay'}, r"constructor='LayerDecay' is not registered.*LayerDecayCon"),
        ({'optim_wrapper__paramwise_cfg__layer_decy': 0.8}, r"no 'layer_decy'.*layer_decay"),
        ({'optim_wrapper__paramwise_cfg__layer_decay': 2}, r'layer_decay=2 must be a number in \(0, 1\]'),
        ({'optim_wrapper': dict(constructor='LayerDecayConstructor', clip=1)}, r"no 'clip'"),
        ({'optim_wrapper__clip_grad': dict(type='every', max_norm=1)}, r"'norm' or 'value' or 'each'"),
        ({'max_iters': 0}, r'max_iters=0 must be'),
        ({'default_hooks__momentum__base_momentum': 'abc'}, r"base_momentum='abc'"),
    ],
)
def test_a_wrong_key_or_value_names_its_place(folder, option, message):
    with pytest.raises(ConfigError, match=message):
        toy_runner(folder, **option).train()


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (
            {'model.backbone.base_chanels': 4},
            "model.backbone: STGCN takes no 'base_chanels'; did you mean 'base_channels",
        ),
        ({'model.loss.temprature': 1}, "model.loss: InfoNCE takes no 'temprature'; did you mean 'temperature'"),
        ({'model.mhsam.lamb': 1}, "model.mhsam: MHSAM takes no 'lamb'; did you mean 'lam'"),
        ({'dataset.splitt': 'xsub'}, "dataset: SkeletonDataset takes no 'splitt'; did you mean 'split'"),
        ({'dataset.pipeline.resample.frames': 8}, "resample: Resample takes no 'frames'; did you mean 'num_frames'"),
        ({'model.mhsam.type': 'MSHAM'}, "model.mhsam: type='MSHAM' .* did you mean 'MHSAM'"),
        ({'model.data_preprocessor.views.query.crop.type': 'Crops'}, 'views.query.crop: .* did you mean .*Crop'),
        ({'dataset.pipeline.resample.type': 'Resampel'}, "dataset.pipeline.resample: .* did you mean 'Resample'"),
    ],
)
def test_a_typo_is_reported_with_its_place_before_anything_is_built(folder, option, message):
    cfg = toy_config(folder)
    cfg.merge_from_dict(option)
    with pytest.raises(ConfigError, match=message):
        resolve_config(cfg)


def test_a_backbone_that_does_not_take_the_layout_is_refused_with_its_origin(folder):
    cfg = toy_config(folder, model__backbone=dict(_delete_=True, type=torch.nn.Flatten))
    with pytest.raises(
        ConfigError, match=r"model.backbone: Flatten takes no 'layout'; it comes from 'layout' at the top"
    ):
        resolve_config(cfg)


def test_a_custom_module_that_cannot_be_imported_is_refused_with_the_cure(tmp_path):
    (tmp_path / 'own.py').write_text("custom_imports = dict(imports=['no_such_module_here'])")
    with pytest.raises(ConfigError, match='PYTHONPATH'):
        read_config(tmp_path / 'own.py')


@pytest.mark.parametrize(
    ('option', 'near'),
    [
        ('model.data_preprocessor.views.query.share', 'shear'),
        ('default_hooks.momentun', 'momentum'),
        ('dataset.pipeline.resampel', 'resample'),
    ],
)
def test_removing_a_step_that_is_not_there_is_refused(tmp_path, option, near):
    with pytest.raises(ConfigError, match=f"to remove; did you mean '{near}'"):
        read_config(write_config(tmp_path), {option: None})


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ('dataset = dict(pipeline=dict(resampel=None))', "dataset.pipeline has no 'resampel' .* 'resample'"),
        ('default_hooks = dict(momentun=None)', "default_hooks has no 'momentun' .* 'momentum'"),
        ('evaluation = dict(evaluators=dict(linaer=None))', "evaluation.evaluators has no 'linaer' .* 'linear'"),
        (
            'model = dict(data_preprocessor=dict(views=dict(query=dict(share=None))))',
            "views.query has no 'share' .* 'shear'",
        ),
    ],
)
def test_a_child_config_that_removes_a_step_that_is_not_there_is_refused(tmp_path, lines, message):
    write_config(tmp_path)
    (tmp_path / 'child.py').write_text(f"_base_ = './toy.py'\n{lines}\n")
    with pytest.raises(ConfigError, match=rf'child\.py, line 2: .*{message}'):
        read_config(tmp_path / 'child.py')


@pytest.mark.parametrize(
    'lines',
    [
        'dataset = dict(pipeline=dict(resample=None))',
        'default_hooks = dict(momentum=None, runtime_info=None)',
        'model = dict(data_preprocessor=dict(views=dict(key=dict(shear=None))))',  # which key inherits from query
        'model = dict(data_preprocessor=dict(views=dict(third=dict(like="key", shear=None))))',
        'dataset = dict(pipeline=dict(_delete_=True, place=None, pack=dict(type="PackClip")))',
        'model = dict(mhsam=dict(norm_cfg=None), init_cfg=None)',  # arguments, not steps
        'load_from = None',
    ],
)
def test_a_child_config_may_set_none_elsewhere(tmp_path, lines):
    write_config(tmp_path)
    (tmp_path / 'child.py').write_text(f"_base_ = './toy.py'\n{lines}\n")
    read_config(tmp_path / 'child.py')


def test_a_step_that_a_base_lays_over_the_others_can_be_removed(tmp_path):
    write_config(tmp_path)
    clean = ROOT / 'configs/_base_/pipelines/clean.py'
    lines = '_base_.merge(_base_.pop("clean"))\ndataset = dict(pipeline=dict(align=None))\n'
    (tmp_path / 'child.py').write_text(f"_base_ = ['./toy.py', '{clean}']\n{lines}")
    assert read_config(tmp_path / 'child.py').dataset.pipeline.align is None


def test_a_view_that_is_like_another_can_do_without_one_of_its_operations(tmp_path):
    read_config(write_config(tmp_path), {'model.data_preprocessor.views.key.shear': None})


def test_steps_and_hooks_are_removed_by_none(tmp_path):
    options = {'model.data_preprocessor.views.query.shear': None, 'default_hooks.runtime_info': None}
    cfg = read_config(write_config(tmp_path), options)
    assert cfg.model.data_preprocessor.views.query.shear is None


@pytest.fixture
def nothing_noted():
    note_renamed.cache_clear()
    yield
    note_renamed.cache_clear()


@pytest.mark.usefixtures('nothing_noted')
@pytest.mark.parametrize('way', ['file', 'option', 'value', 'python'])
def test_dataset_protocol_is_read_as_dataset_split_with_one_note(folder, tmp_path, way):
    """The old name of the key."""
    (tmp_path / 'child.py').write_text(f"_base_ = '{folder}/toy.py'\ndataset = dict(protocol='xview')\n")
    ways = {
        'file': lambda: read_config(tmp_path / 'child.py'),
        'option': lambda: read_config(folder / 'toy.py', {'dataset.protocol': 'xview'}),
        'value': lambda: read_config(folder / 'toy.py', {'dataset': {'protocol': 'xview'}}),
        'python': lambda: toy_config(folder, dataset__protocol='xview'),
    }
    with pytest.warns(FutureWarning, match=r'dataset\.protocol is now called dataset\.split') as seen:
        for _ in range(2):
            cfg = resolve_config(ways[way]())
    assert len(seen) == 1
    assert cfg.dataset.split == 'xview' and 'protocol' not in cfg.dataset
    assert (cfg.train_dataloader.dataset.split, cfg.train_dataloader.dataset.part) == ('xview', 'train')


@pytest.mark.parametrize(
    ('base', 'child', 'grandchild', 'options', 'read'),
    [
        ('split', 'protocol', '', {}, 'child'),
        ('protocol', 'split', '', {}, 'child'),
        ('split', 'protocol', 'split', {}, 'grandchild'),
        ('protocol', 'split', 'protocol', {}, 'grandchild'),
        ('split', 'protocol', 'stream', {}, 'child'),
        ('split', 'protocol', 'split', {'dataset.protocol': 'option'}, 'option'),
        ('split', 'split', 'protocol', {'dataset.split': 'option'}, 'option'),
    ],
)
def test_of_the_two_names_of_the_split_the_one_with_the_last_word_counts(
    tmp_path, base, child, grandchild, options, read
):
    above = ''
    for name, key in (('base', base), ('child', child), ('grandchild', grandchild)):
        lines = "stream = 'bone'" if key == 'stream' else f'dataset = dict({key}={name!r})' if key else ''
        (tmp_path / f'{name}.py').write_text(f'{above}\n{lines}\n')
        above = f"_base_ = './{name}.py'"
    assert read_config(tmp_path / 'grandchild.py', options).dataset.split == read


def test_a_users_data_set_that_calls_the_part_split_still_receives_it(folder):
    @DATASETS.register_module()
    class Old:
        def __init__(self, protocol, split='train', layout=None):
            pass

    try:
        cfg = resolve_config(toy_config(folder, dataset=dict(_delete_=True, type='Old', protocol='xsub')))
    finally:
        DATASETS.module_dict.pop('Old')
    sets = [cfg.train_dataloader.dataset, cfg.val_dataloader.test]
    assert [(item.protocol, item.split) for item in sets] == [('xsub', 'train'), ('xsub', 'test')]
    assert not any('part' in item for item in sets)


NATIVE = {'model.data_preprocessor.views.query.crop': {'_delete_': True, 'type': 'CropResize', 'min_frames': 8}}


def test_a_view_that_reads_native_clips_keeps_them_in_the_training_loader_alone(folder):
    plain, cropped = (resolve_config(read_config(folder / 'toy.py', options)) for options in ({}, NATIVE))
    assert 'native' not in plain.train_dataloader.dataset
    assert cropped.train_dataloader.dataset == {**plain.train_dataloader.dataset, 'native': True}
    for loaders in (cropped.val_dataloader, cropped.test_dataloader):
        assert loaders == plain.val_dataloader
    assert 'native' not in cropped.dataset and resolve_config(cropped).pretty_text == cropped.pretty_text
    explicit = resolve_config(read_config(folder / 'toy.py', {'dataset.native': True}))
    assert explicit.train_dataloader.dataset.native and 'native' not in explicit.test_dataloader.bank


def test_a_custom_data_set_without_native_clips_is_refused(folder):
    @DATASETS.register_module(force=True)
    class Fixed(torch.utils.data.Dataset):
        def __init__(self, data, split, part, pipeline=None, layout=None, channels=None):
            pass

    try:
        cfg = read_config(folder / 'toy.py', {**NATIVE, 'dataset.type': 'Fixed'})
        with pytest.raises(
            ConfigError, match=r"views\.query\.crop reads .* dataset\.type='Fixed' takes no native=True"
        ):
            resolve_config(cfg)
    finally:
        DATASETS.module_dict.pop('Fixed')


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('min_frames', 'whole number of at least 1'),
        ('share', r'a list of 2 numbers in \(0, 1\]'),
        ('num_frames', 'whole number of at least 1 or None'),
    ],
)
def test_settings_of_a_crop_are_checked(folder, option, message):
    with pytest.raises(ConfigError, match=rf'views\.query\.crop\.{option}=.* must be a?.*{message}'):
        read_config(folder / 'toy.py', {**NATIVE, f'model.data_preprocessor.views.query.crop.{option}': (0, 0)})


@pytest.mark.parametrize(('config', 'options', 'expected'), [
    ('skeattnclr/stgcn_demo', {}, True),
    ('skeattnclr/stgcn_demo', {'evaluation.autocast': False}, False),
    ('skeattnclr/stgcn_demo', {'optim_wrapper.type': 'OptimWrapper'}, False),
    ('skeattnclr/stgcn_ntu60_xsub', {}, False),
    ('skeattnclr/stgcn_ntu60_xsub', {'optim_wrapper.type': 'AutocastOptimWrapper'}, True),
])  # fmt: skip
def test_features_are_extracted_in_the_precision_of_the_training(config, options, expected, monkeypatch):
    monkeypatch.setattr('skeattn.engine.speed.cpu_bfloat16', lambda: True)
    cfg = resolve_config(read_config(f'configs/{config}.py', options))
    assert evaluates_in_autocast(cfg) is expected
    assert [cfg[f'{stage}_cfg'].autocast for stage in ('val', 'test')] == [expected] * 2
