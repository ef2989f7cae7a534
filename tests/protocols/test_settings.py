"""Protocols by name: where their settings come from, and which are refused."""

from pathlib import Path

import pytest
from mmengine.config import Config

from skeattn.engine.config import read_config
from skeattn.errors import ConfigError
from skeattn.evaluation import Features, KNNEvaluator, LinearProbe
from skeattn.protocols.settings import build_protocol, protocol_names, read_protocol
from skeattn.registry import EVALUATORS
from tests.conftest import ROOT

PAPER = dict(
    type='LinearProbe', epochs=100, lr=3.0, milestones=(60,), gamma=0.1, momentum=0.9, weight_decay=0.0, batch_size=128,
    probe_seeds=5,
)  # fmt: skip


def test_the_named_protocols_are_those_of_paper_and_release() -> None:
    assert {'knn', 'linear', 'retrieval', 'tsne', 'topk'} <= set(protocol_names())
    cfg = Config({})
    assert read_protocol('linear', cfg) == PAPER
    assert read_protocol('linear_released', cfg) == {**PAPER, 'epochs': 150, 'milestones': (60, 100)}
    mamp = dict(lr=0.1, schedule='cosine', batch_size=256, batch_norm=True, init_std=0.01)
    shared = {key: PAPER[key] for key in ('type', 'epochs', 'momentum', 'weight_decay')}
    assert read_protocol('linear_mamp', cfg) == {**shared, **mamp}
    released = read_protocol('knn_released', cfg)
    assert (released['source'], released['k'], released['temperature']) == ('predictor', (10, 20, 40), 0.1)


def test_the_files_say_what_training_monitors_do_by_default() -> None:
    """So that ``--protocol linear`` is the number that training printed, with its spread over probe seeds beside it."""
    for name, default in (('knn', KNNEvaluator()), ('linear', LinearProbe(probe_seeds=5))):
        assert vars(build_protocol(read_protocol(name, Config({})))) == vars(default)


@pytest.mark.parametrize('name', protocol_names())
def test_every_protocol_can_be_built(name: str) -> None:
    if name == 'tsne':
        pytest.importorskip('sklearn')
    settings = read_protocol(name, Config({}))
    assert isinstance(build_protocol(settings, seed=3), EVALUATORS.get(settings['type']))


def test_a_config_changes_settings_for_its_training_and_for_a_protocol() -> None:
    evaluation = dict(evaluators=dict(linear=dict(type='LinearProbe', lr=1.0, epochs=7), knn=None))
    cfg = Config(dict(evaluation=evaluation, protocols=dict(linear=dict(lr=0.5))))
    assert read_protocol('linear', cfg) == {**PAPER, 'lr': 0.5, 'epochs': 7}
    assert read_protocol('linear_released', cfg)['lr'] == 3.0
    assert read_protocol('knn', cfg)['k'] == (1, 5, 10, 20, 40)


def test_overrides_on_the_command_line_reach_a_protocol() -> None:
    path = ROOT / 'configs/skeattnclr/stgcn_demo.py'
    assert read_protocol('linear', read_config(path, {'protocols.linear.lr': 1}))['lr'] == 1


def test_another_type_starts_anew() -> None:
    cfg = Config(dict(protocols=dict(linear=dict(type='KNNEvaluator', k=(3,)))))
    assert read_protocol('linear', cfg) == {'type': 'KNNEvaluator', 'k': (3,)}


def test_a_file_of_ones_own_inherits(tmp_path: Path) -> None:
    file = tmp_path / 'long.py'
    file.write_text(f"_base_ = '{ROOT}/configs/_base_/protocols/linear.py'\nepochs = 300\nsource = 'projector'\n")
    cfg = Config(dict(protocols=dict(long=dict(seed=5))))
    settings = read_protocol(str(file), cfg)
    assert settings == {**PAPER, 'epochs': 300, 'source': 'projector', 'seed': 5}
    probe = build_protocol(settings, seed=1, out='unused')
    assert (probe.epochs, probe.seed) == (300, 5)


def test_an_evaluator_of_the_config_is_a_protocol() -> None:
    @EVALUATORS.register_module(name='ToyCount')
    def count(scale: float = 1.0):
        def run(bank: Features, test: Features) -> dict[str, float]:
            return {'clips': scale * len(test)}

        return run

    cfg = Config(dict(evaluation=dict(evaluators=dict(own=dict(type='ToyCount')))))
    assert read_protocol('own', cfg) == {'type': 'ToyCount'}
    cfg.protocols = dict(own=dict(scale=2.0))
    assert build_protocol(read_protocol('own', cfg))([], [1, 2, 3]) == {'clips': 6.0}
    EVALUATORS.module_dict.pop('ToyCount')


@pytest.mark.parametrize(
    ('name', 'protocols', 'message'),
    [
        ('liner', {}, "unknown protocol 'liner'; choose from .*linear, .*tsne.*, or give the path of a file"),
        ('a/b.py', {}, 'no protocol file a/b.py; give a file or one of .*linear'),
        ('knn', {'liner': {'lr': 1}}, "protocols.liner: unknown protocol; did you mean 'linear'"),
        (
            'linear',
            {'linear': {'rl': 1}},
            r"protocols.linear: LinearProbe takes no 'rl' .*linear\.py.*did you mean 'lr'",
        ),
        ('linear', {'linear': {'type': 'LinerProbe'}}, "protocols.linear: type='LinerProbe' .*'LinearProbe'"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(name: str, protocols: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_protocol(name, Config(dict(protocols=protocols)))


@pytest.mark.parametrize(
    ('text', 'message'),
    [('type = ', 'mine.py is not readable'), ("type = 'LinearProbe'\nrl = 1\n", r"mine\.py: LinearProbe takes no 'rl'"),
     ('lr = 1\n', "unknown protocol")],
)  # fmt: skip
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'mine.py').write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_protocol(str(tmp_path / 'mine.py'), Config({}))
