"""A typo in a config is refused everywhere, in a file as on the command line."""

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from torch import nn

from skeattn.engine.checks import check_config
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.registry import MODELS
from tests.configs.leaves import ABLATIONS, LEAVES
from tests.conftest import ROOT

CONFIGS = [*LEAVES[::4], *ABLATIONS[::4]]
BASES = ROOT / 'configs/_base_'
DEMO = ROOT / 'configs/skeattnclr/stgcn_demo.py'
# Places whose keys are names that a user chooses; None matches any name.
NAMES = (
    ('protocols', None),
    ('env_cfg', 'dist_cfg', None),
    ('dataset', 'pipeline', None),
    ('default_hooks', None),
    ('evaluation', 'evaluators', None),
    ('model', 'data_preprocessor', 'views', None),
    ('model', 'data_preprocessor', 'views', None, None),
    ('optim_wrapper', 'paramwise_cfg', 'custom_keys', None),
    ('visualizer', 'vis_backends', None),
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('child')


Place = tuple[Any, ...]


@cache
def written(path: Path) -> dict[str, Any]:
    """The config of a file as plain dicts and lists."""
    return read_config(path).to_dict()


def places(node: Any, above: Place = ()) -> Iterator[Place]:
    """Every key of every dict of a config."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if isinstance(key, str):
            yield (*above, key)
        yield from places(value, (*above, key))


def is_name(place: Place) -> bool:
    """Whether the last key of a place is a name, other than those with a meaning in a view."""
    fits = [
        all(part in (None, key) for part, key in zip(name, place, strict=True))
        for name in NAMES
        if len(name) == len(place)
    ]
    return any(fits) and place[-1] not in ('source', 'like', 'within')


@st.composite
def typos(draw: st.DrawFn, name: str) -> str:
    """A name with a letter lost, doubled, replaced, or swapped with the next."""
    i = draw(st.integers(0, len(name) - 1))
    start, letter, end = name[:i], name[i], name[i + 1 :]
    return draw(
        st.sampled_from([start + end, start + 2 * letter + end, start + 'q' + end, start + end[:1] + letter + end[1:]])
    )


@st.composite
def misspelt(draw: st.DrawFn) -> tuple[Path, dict[str, Any], Place, str]:
    """A config of the toolbox, its settings, one of its keys, and a typo of that key."""
    path = draw(st.sampled_from(CONFIGS))
    cfg = written(path)
    place = draw(st.sampled_from([*places(cfg)]))
    typo = draw(typos(place[-1]))
    siblings = value(cfg, place[:-1])
    assume(typo.isidentifier() and not typo.startswith('_') and typo not in siblings)
    return path, cfg, place, typo


def value(cfg: Any, place: Place) -> Any:
    """The value at a place."""
    for key in place:
        cfg = cfg[key]
    return cfg


@pytest.mark.slow
@settings(max_examples=120)
@given(misspelt())
def test_a_misspelt_key_at_any_depth_is_refused(case):
    _, cfg, place, typo = case
    assume(not is_name(place))
    changed = copy.deepcopy(cfg)
    siblings = value(changed, place[:-1])
    renamed = {typo if key == place[-1] else key: item for key, item in siblings.items()}
    siblings.clear()
    siblings.update(renamed)
    # Without its _delete_, a dict also keeps the settings to be deleted.
    named = typo if place[-1] != '_delete_' else 'takes no'
    with pytest.raises(ConfigError, match=rf'\b{named}\b'):
        check_config(Config(changed))


def without_types(node: Any) -> Any:
    """The keys of its base that a child config would repeat."""
    return {key: without_types(item) for key, item in node.items() if key != 'type'} if isinstance(node, dict) else node


@settings(max_examples=20)
@given(misspelt())
@pytest.mark.slow
def test_a_misspelt_key_of_a_child_config_is_refused_with_file_and_line(folder, case):
    """Names as well: settings of a base under the right name, above all its type, are missing under the wrong one."""
    path, cfg, place, typo = case
    changed = without_types(value(cfg, place))
    assume(all(isinstance(key, str) for key in place))
    assume(not is_name(place) or place[0] in ('dataset', 'default_hooks', 'evaluation', 'model'))
    assume(not (place[-2:-1] == ('views',) and changed.keys() <= {'like', 'source'}))  # as valid as any view
    *above, _ = place
    for key in reversed([*above[1:], typo] if above else []):
        changed = {key: changed}
    file = child(folder, f'{above[0] if above else typo} = {changed!r}', path)
    with pytest.raises(ConfigError, match=rf'^{file}, line 2: .*\b{typo}\b'):
        read_config(file)


def child(folder: Path, lines: str, *bases: Path, name: str = 'child.py') -> Path:
    """A config file over others, its lines from the second on."""
    path = folder / name
    path.write_text(f'_base_ = {[str(base) for base in bases]}\n{lines}\n')
    return path


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ('bacth_size = 64', "child.py, line 2: the config has no 'bacth_size'; did you mean 'batch_size'"),
        ('modle = dict(mu=1)', "child.py, line 2: the config has no 'modle'; did you mean 'model'"),
        ('data_preprocessor = dict(stream="bone")', "no 'data_preprocessor'; did you mean 'model.data_preprocessor'"),
        ('mu = 0.3', "the config has no 'mu'; did you mean 'model.mu'"),
        ('train_dataloader = dict(shuffle=False)', "train_dataloader has no 'shuffle'"),
        ('auto_scale_lr = dict(enable=True)', 'auto_scale_lr.*base_batch_size'),
        ('lr = 0.1', 'a helper variable starts with an underscore: _lr'),
        ('evaluation = 5', 'child.py, line 2: evaluation=5 must be a dict; its keys are interval, evaluators'),
        ('model = dict(backbone="STGCN")', "line 2: model.backbone='STGCN' must be a dict with a type"),
        ('train_cfg = 3', 'child.py cannot be read: train_cfg=3 in child config|train_cfg=3 must be a dict'),
    ],
)
def test_a_key_at_the_top_that_nobody_reads_is_refused(folder, lines, message):
    with pytest.raises(ConfigError, match=message):
        read_config(child(folder, lines, DEMO))


@pytest.mark.parametrize(
    'lines', ['_lr = 0.1', 'import os', 'from pathlib import Path', 'def _half(x):\n    return x / 2']
)
def test_a_file_may_have_helpers(folder, lines):
    read_config(child(folder, lines, DEMO))


def test_the_file_is_named_in_which_the_key_stands(folder):
    base = child(folder, '\nmodel = dict(queue=dict(siez=64))', DEMO, name='base.py')
    with pytest.raises(ConfigError, match=r"base\.py, line 3: model.queue has no 'siez'; did you mean 'size'"):
        read_config(child(folder, 'model = dict(mu=0.3, queue=dict(size=32))', base))
    with pytest.raises(ConfigError, match=r"^--cfg-options model.queue.siez: model.queue has no 'siez'"):
        read_config(DEMO, {'model.queue.siez': 64})
    with pytest.raises(ConfigError, match=r'^--cfg-options custom_hooks: custom_hooks\[0\]: type=.EarlyStopHook. is'):
        read_config(DEMO, {'custom_hooks': [{'type': 'EarlyStopHook'}]})


def test_a_base_that_was_not_merged_over_the_others_is_named_with_the_missing_line(folder):
    bigru = BASES / 'models/bigru.py'
    line = "_base_.merge(_base_.pop('bigru'))"
    read_config(child(folder, line, DEMO, bigru))
    forgotten = child(folder, 'stream = "bone"', DEMO, bigru)
    message = rf"models/bigru\.py, line 3: 'bigru' was not merged over .* {forgotten} .*: {re.escape(line)}"
    with pytest.raises(ConfigError, match=message):
        read_config(forgotten)
    with pytest.raises(ConfigError, match=message):
        read_config(child(folder, '', forgotten, name='grandchild.py'))


def test_a_base_that_belongs_into_a_part_of_the_config_is_named(folder):
    with pytest.raises(ConfigError, match=r"models/extreme\.py, line 6: .* into a part .* by _base_\.pop\('extreme'\)"):
        read_config(child(folder, '', DEMO, BASES / 'models/extreme.py'))


def test_a_typo_of_a_settings_file_in_a_base_is_no_base_to_lay_over(folder):
    base = child(folder, 'optimwrapper = dict(optimizer=dict(lr=1))', DEMO, name='base.py')
    with pytest.raises(
        ConfigError, match=r"base\.py, line 2: the config has no 'optimwrapper'; did you mean 'optim_wrapper'"
    ):
        read_config(child(folder, '', base))


def test_a_removal_of_nothing_is_found_in_a_base_too(folder):
    base = child(folder, 'dataset = dict(pipeline=dict(aling=None))', DEMO, name='base.py')
    with pytest.raises(
        ConfigError, match=r"base\.py, line 2: dataset.pipeline has no 'aling' to remove; did you mean 'align'"
    ):
        read_config(child(folder, 'stream = "bone"', base))


SCALE = "dataset = dict(pipeline=dict(scale=dict(type='ScaleBody'{})))"


def test_a_new_step_gives_its_position(folder):
    with pytest.raises(
        ConfigError, match=r"line 2: dataset.pipeline.scale runs after dataset.pipeline.pack.* before='pack'"
    ):
        read_config(child(folder, SCALE.format(''), DEMO))
    with pytest.raises(ConfigError, match=r"line 2: dataset.pipeline.scale: after='center' .* did you mean 'centre'"):
        read_config(child(folder, SCALE.format(", after='center'"), DEMO))
    for where, order in (
        (", before='pack'", ['centre', 'resample', 'align', 'scale', 'pack']),
        (", after='centre'", ['centre', 'scale', 'resample', 'align', 'pack']),
    ):
        cfg = read_config(child(folder, SCALE.format(where), DEMO))
        steps = resolve_config(cfg).dataset.pipeline
        assert list(steps) == order and steps.scale == dict(type='ScaleBody')
        assert resolve_config(read_config(dumped(cfg, folder))).dataset.pipeline == steps


def dumped(cfg: Config, folder: Path) -> Path:
    """The config file that a run writes."""
    path = folder / 'dumped.py'
    path.write_text(cfg.pretty_text)
    return path


def test_an_operation_of_a_view_gives_its_position(folder):
    views = "model = dict(data_preprocessor=dict(views=dict(key=dict(flip=dict(type='SpatialFlip', before='{}')))))"
    cfg = resolve_config(read_config(child(folder, views.format('shear'), DEMO)))  # which key inherits from query
    assert list(MODELS.build(cfg.model.data_preprocessor).ops['key']) == ['crop', 'flip', 'shear']
    with pytest.raises(ConfigError, match=r"line 2: model.data_preprocessor.views.key.flip: before='sheer' .* 'shear'"):
        read_config(child(folder, views.format('sheer'), DEMO))


def test_an_operation_of_a_view_that_is_not_there_names_the_view(folder):
    lines = 'model = dict(data_preprocessor=dict(views=dict(qurey=dict(shear=dict(amplitude=1.0)))))'
    with pytest.raises(ConfigError, match=r"line 2: .*views.qurey: no base has .*; did you mean 'query'"):
        read_config(child(folder, lines, DEMO))


@pytest.fixture
def own():
    """Custom components, whose arguments have custom meanings."""

    @MODELS.register_module()
    class Own(nn.Module):
        def __init__(self, queue, views, loss, head, **kwargs):
            super().__init__()
            self.kwargs = kwargs

    yield
    MODELS.module_dict.pop('Own')


@pytest.mark.usefixtures('own')
def test_a_users_component_gives_its_arguments_their_meaning(folder):
    own = dict(
        type='Own',
        queue=dict(length=3),
        views=dict(a=dict(b=2)),
        loss='mse',
        head=dict(width=4),
        more=dict(loss=dict(p=2)),
    )
    model = dict(own, _delete_=True, part=dict(type='MLP', in_channels=4, out_channels=4))
    read_config(child(folder, f'model = {model}\ndefault_hooks = dict(momentum=None, queue=None)', DEMO))
    model['part']['out_chanels'] = 4
    with pytest.raises(ConfigError, match=r"model.part: MLP takes no 'out_chanels'; did you mean 'out_channels'"):
        read_config(child(folder, f'model = {model}', DEMO))


@pytest.mark.parametrize(
    ('protocols', 'message'),
    [
        ({'linear': {'epcohs': 3}}, "protocols.linear: LinearProbe takes no 'epcohs'; did you mean 'epochs'"),
        ({'own': {'type': 'KNNEvaluator', 'kk': 3}}, "protocols.own: KNNEvaluator takes no 'kk'"),
        ({'semi01': {'train_cfg': {'max_epoch': 3}}}, "protocols.semi01.train_cfg: EpochLoop takes no 'max_epoch'"),
        (
            {'finetune': {'optim_wrapper': {'optimizer': {'llr': 3}}}},
            "protocols.finetune.optim_wrapper.optimizer: AdamW takes no 'llr'; did you mean 'lr'",
        ),
    ],
)
def test_a_setting_of_a_protocol_is_one_of_its_evaluator(folder, protocols, message):
    with pytest.raises(ConfigError, match=f'line 2: {message}'):
        read_config(child(folder, f'protocols = {protocols}', DEMO))


def test_settings_of_a_protocol_in_a_users_file_are_read_with_that_file(folder):
    cfg = read_config(child(folder, 'protocols = dict(mine=dict(anything=3), linear=dict(source="projector"))', DEMO))
    assert cfg.protocols.mine.anything == 3
