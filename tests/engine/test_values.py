"""A value of a wrong type or outside its range is refused everywhere, in one form."""

import copy
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from skeattn.cli import parse_value
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.values import COUNT, POSITIVE, SHARE, complaint
from skeattn.errors import ConfigError, SkeAttnError
from skeattn.registry import MODELS
from tests.conftest import ROOT
from tests.engine.toy import toy_config

DEMO = ROOT / 'configs/skeattnclr/stgcn_demo.py'


@pytest.mark.parametrize(
    ('value', 'kind', 'limits', 'expected'),
    [
        (1, float, None, None),
        (np.float32(1), float, None, None),
        (np.int64(1), int, COUNT, None),
        (1.0, int, None, 'a whole number'),
        ('3', int, COUNT, 'a whole number of at least 1'),
        (True, int, None, 'a whole number'),
        (1, bool, None, 'True or False'),
        (np.bool_(True), bool, None, None),
        (0, int, COUNT, 'a whole number of at least 1'),
        (0, float, POSITIVE, 'a number above 0'),
        (float('nan'), float, POSITIVE, 'a number above 0'),
        (1.5, float | None, SHARE, 'a number in [0, 1] or None'),
        (None, float | None, SHARE, None),
        (None, float, SHARE, 'a number in [0, 1]'),
        (0.5, float | torch.Tensor, SHARE, None),
        (torch.ones(1), float | torch.Tensor, None, None),
        ('0.5', float | torch.Tensor, None, 'a number'),
        ('xyz', Sequence[str], None, 'a list of text'),
        (['x', 'y'], Sequence[str], None, None),
        ((1, 5), list[int], COUNT, None),
        ([1, 0], tuple[int, ...], COUNT, 'a list of whole numbers of at least 1'),
        ([1, 2, 3], tuple[int, int], None, 'a list of 2 whole numbers'),
        (5, tuple[int, ...], None, 'a list of whole numbers'),
        ({'a': 1}, dict[str, Any] | None, None, None),
        (3, Mapping[str, Any], None, 'a dict'),
        ('b', Literal['a', 'b'], None, None),
        ('c', Literal['a', 'b'], None, "'a' or 'b'"),
        ('c', str | os.PathLike[str], None, None),
        (3, str | os.PathLike[str], None, 'text or a path'),
        (3, Any, None, None),
        (print, Callable[[int], int], None, None),
        (dict(type='SGD'), torch.optim.Optimizer, None, None),
        ('SGD', torch.optim.Optimizer, None, 'a Optimizer'),
    ],
)
def test_a_value_is_compared_with_its_annotation(value, kind, limits, expected):
    assert complaint(value, kind, limits) == expected


@pytest.mark.parametrize(
    ('option', 'expected'),
    [
        ('evaluation.interval=0', 'a whole number of at least 1'),
        ('evaluation.batch_size=0', 'a whole number of at least 1'),
        ('train_cfg.max_epochs=0', 'a whole number of at least 1'),
        ('train_cfg.max_epochs=2.5', 'a whole number of at least 1'),
        ('max_iters=-1', 'a whole number of at least 1 or None'),
        ('batch_size=0', 'a whole number of at least 1 or None'),
        ("batch_size='3'", 'a whole number of at least 1 or None'),
        ('seed=abc', 'a whole number in [0, 4294967295] or None'),
        ('model.queue=64', 'a dict or None'),
        ('model.queue.size=0', 'a whole number of at least 1'),
        ('model.mu=2', 'a number in [0, 1]'),
        ('model.loss.temperature=0', 'a number above 0'),
        ('model.backbone.base_channels=abc', 'a whole number of at least 1'),
        ('model.data_preprocessor.views.query.crop.ratio=six', 'a whole number of at least 1'),
        ('model.data_preprocessor.views.mix.skelemix.parts=3', 'a list of 2 whole numbers of at least 1'),
        ('optim_wrapper.optimizer.lr=-1', 'a number of at least 0'),
        ('optim_wrapper.optimizer.betas=(0.9,2)', 'a list of 2 numbers in [0, 1)'),
        ('optim_wrapper.accumulative_counts=0', 'a whole number of at least 1'),
        ('optim_wrapper.paramwise_cfg.custom_keys.mhsam.lr_mult=a', 'a number of at least 0'),
        ('param_scheduler.eta_min=low', 'a number of at least 0 or None'),
        ('default_hooks.momentum.base_momentum=1.1', 'a number in [0, 1]'),
        ('default_hooks.logger.interval=0', 'a whole number of at least 1'),
        ('default_hooks.checkpoint.save_best=1', 'text or a list of text or None'),
        ('model=[]', 'a dict with a type'),
        ('dataset=None', 'a dict with a type'),
        ('model.data_preprocessor.views.key.like=3', 'text or None'),
        ('env_cfg=None', 'a dict'),
        ('default_hooks=3', 'a dict or None'),
        ('protocols=3', 'a dict or None'),
        ('protocols.linear=3', 'a dict or None'),
        ('protocols.linear.lr=-0.5', 'a number of at least 0'),
        ('evaluation.evaluators.knn.k=5', 'a list of whole numbers of at least 1'),
        ('dataset.pipeline.resample.num_frames=many', 'a whole number of at least 1'),
        ('dataset.data=3', 'text or a path or a list of text or paths'),
        ('dataset.subset=dict(fraction=2)', 'a number in (0, 1] or None'),
        ('model.data_preprocessor.views.query=3', 'a dict or None'),
        ('train_dataloader.num_workers=-1', 'a whole number of at least 0'),
        ('log_processor.window_size=ten', 'a whole number of at least 1'),
        ('log_level=LOUD', "'CRITICAL' or 'ERROR' or 'WARNING' or 'INFO' or 'DEBUG' or a whole number"),
        ('launcher=me', "'none' or 'pytorch' or 'slurm' or 'mpi'"),
        ('resume=yes', 'True or False'),
        ('work_dir=3', 'text or a path or None'),
        ('layout=3', 'text or a dict or a SkeletonLayout or a list of text or dicts or a SkeletonLayout or None'),
    ],
)
def test_a_wrong_value_is_refused_in_one_form(option, expected):
    """Kind F11: keys are checked, values are not."""
    key, _, typed = option.partition('=')
    with pytest.raises(ConfigError, match=rf'^--cfg-options {key}: {key}.* must be {re.escape(expected)}$'):
        read_config(DEMO, {key: parse_value(typed)})


def test_a_wrong_value_of_a_file_is_refused_with_its_line(tmp_path):
    path = tmp_path / 'child.py'
    path.write_text(f"_base_ = '{DEMO}'\noptim_wrapper = dict(\n    optimizer=dict(lr='0.1'))\n")
    with pytest.raises(
        ConfigError, match=rf"^{path}, line 3: optim_wrapper.optimizer.lr='0.1' must be a number of at least"
    ):
        read_config(path)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('model = dict(queue=dict(_delete_=True))', "model.queue lacks 'size', which must be a whole number"),
        ('optim_wrapper = dict(_delete_=True)', 'optim_wrapper={} must be a dict with a type'),
        ('model = dict(init_cfg=[[]])', r'model.init_cfg\[0\]=\[\] must be a dict with a type'),
        ('model = dict(projector=dict(norm_cfg=dict(_delete_=True)))', 'norm_cfg={} must be a dict with a type'),
        ("model = dict(type='')", "model: type='' is not in the registry"),
    ],
)
def test_an_empty_value_is_refused(tmp_path, line, message):
    path = tmp_path / 'child.py'
    path.write_text(f"_base_ = '{DEMO}'\n{line}\n")
    with pytest.raises(ConfigError, match=rf'^{path}, line 2: .*{message}'):
        read_config(path)


def test_a_method_without_its_view_names_it(toy, tmp_path):
    cfg = copy.deepcopy(toy)
    cfg.work_dir = str(tmp_path)
    cfg.model.data_preprocessor.views = {}
    with pytest.raises(ConfigError, match=r"model.data_preprocessor.views has no 'query', which the method reads"):
        SkeAttnRunner.from_cfg(cfg).train()


def test_values_of_a_custom_class_have_its_types_but_no_ranges(tmp_path):
    @MODELS.register_module()
    class Own(torch.nn.Module):
        def __init__(self, lr: float, width: int = None, anything=3, old: 'NotThere' = 1):  # noqa: F821, RUF013
            super().__init__()

    path = tmp_path / 'child.py'
    text = (
        "_base_ = '{}'\nmodel = dict(_delete_=True, type='Own', {})\ndefault_hooks = dict(momentum=None, queue=None)\n"
    )
    try:
        path.write_text(text.format(DEMO, "lr=-1, width=None, anything='a', old='b'"))
        read_config(path)
        path.write_text(text.format(DEMO, "lr=-1, width='a'"))
        with pytest.raises(ConfigError, match=r"line 2: model.width='a' must be a whole number or None"):
            read_config(path)
    finally:
        MODELS.module_dict.pop('Own')


@pytest.mark.parametrize(
    ('option', 'read'),
    [
        ('default_hooks.checkpoint.save_best=knn/top1_k1,linear/top1', ['knn/top1_k1', 'linear/top1']),
        ('stream=joint,motion', ['joint', 'motion']),
        ('stream=[joint,motion]', ['joint', 'motion']),
        ('channels=x,y', ['x', 'y']),
        ('evaluation.evaluators.knn.k=5,7', [5, 7]),
        ('protocols.linear.milestones=1,2', [1, 2]),
        ('model.data_preprocessor.views.mix.skelemix.units=(1,2)', (1, 2)),
        ('work_dir=my runs/a,b', 'my runs/a,b'),
        ('dataset.data=sets/a, b', 'sets/a, b'),
    ],
)
def test_commas_make_a_list_where_the_key_holds_one(option, read):
    """A parser must not guess if the type of the key is known."""
    key, _, typed = option.partition('=')
    node = read_config(DEMO, {key: parse_value(typed)})
    for name in key.split('.'):
        node = node[name]
    assert node == read


def test_a_list_of_the_config_is_replaced_by_commas(tmp_path):
    path = tmp_path / 'child.py'
    path.write_text(f"_base_ = '{DEMO}'\ncustom_imports = dict(imports=['json'])\n")
    assert read_config(path, {'custom_imports.imports': 'json,ast'}).custom_imports.imports == ['json', 'ast']


def test_modules_of_an_override_are_imported(tmp_path, monkeypatch):
    """An override must not be accepted and ignored."""
    (tmp_path / 'own_module_of_an_option.py').write_text(
        'from skeattn.registry import EVALUATORS\n\n\n'
        '@EVALUATORS.register_module()\nclass OwnOfAnOption:\n    def __init__(self, width: int = 1):\n        pass\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    imports = {'custom_imports.imports': ['own_module_of_an_option']}
    own = {'evaluation.evaluators.own': dict(type='OwnOfAnOption')}
    assert 'own' in read_config(DEMO, imports | own).evaluation.evaluators
    assert 'own_module_of_an_option' in sys.modules
    with pytest.raises(ConfigError, match=r"own.width='a' must be a whole number"):
        read_config(DEMO, imports | {'evaluation.evaluators.own': dict(type='OwnOfAnOption', width='a')})
    with pytest.raises(ConfigError, match=r'^--cfg-options custom_imports.imports: .*nothing_there.*PYTHONPATH'):
        read_config(DEMO, {'custom_imports.imports': ['nothing_there']})


NUMBERS = (0, -1, 3, 40, 2.5, -0.5, float('nan'), float('inf'), np.float32(0.5), np.int64(2))
WRONG = st.sampled_from(
    [None, True, False, *NUMBERS, '', 'abc', '3', [], [1], ['a'], [[]], [None], (), (1, 2, 3), {}, {'a': 1}]
)


def leaves(node: Any, above: tuple[Any, ...] = ()):
    """Places of all values of a config that are no dicts."""
    for key, value in node.items():
        yield (*above, key)
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))


@pytest.fixture(scope='module')
def toy(tmp_path_factory) -> Config:
    folder = tmp_path_factory.mktemp('toy')
    return toy_config(folder, train_cfg__max_epochs=1, evaluation__interval=1, max_iters=2, visualizer=None)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.data())
def test_any_value_at_any_key_is_refused_or_runs(toy, tmp_path_factory, data):
    """Kind F11: keys are checked, values are not."""
    cfg = copy.deepcopy(toy)
    cfg.work_dir = str(tmp_path_factory.mktemp('run'))
    places = leaves(cfg.to_dict())
    place = data.draw(st.sampled_from([place for place in places if place not in [('work_dir',), ('max_iters',)]]))
    *above, last = place
    node = cfg
    for key in above:
        node = node[key]
    node[last] = data.draw(WRONG)
    try:
        resolve_config(cfg)
        SkeAttnRunner.from_cfg(cfg).train()
    except SkeAttnError:
        pass


def test_the_right_values_of_numpy_run(toy, tmp_path: Path):
    cfg = copy.deepcopy(toy)
    cfg.work_dir = str(tmp_path)
    cfg.merge_from_dict({'optim_wrapper.optimizer.lr': np.float64(0.01), 'model.mu': 1, 'max_iters': np.int64(1)})
    runner = SkeAttnRunner.from_cfg(cfg)
    runner.train()
    assert 'np.' not in runner.cfg.pretty_text
