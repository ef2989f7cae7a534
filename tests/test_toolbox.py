"""Configs are found by path, and by name from any folder."""

from pathlib import Path

import pytest

from skeattn import toolbox
from skeattn.engine.config import read_config
from skeattn.errors import ConfigError
from tests.conftest import ROOT

DEMO = 'configs/skeattnclr/stgcn_demo.py'


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


NAMES = ['skeattnclr/stgcn_demo', 'skeattnclr/stgcn_demo.py', 'configs/skeattnclr/stgcn_demo', DEMO]


@pytest.mark.parametrize('name', NAMES)
def test_a_name_is_found_from_any_folder_with_or_without_configs_and_suffix(elsewhere, name) -> None:
    assert toolbox.find_config(name) == ROOT / DEMO
    assert toolbox.config_name(name) == DEMO
    assert read_config(name).model.type == 'SkeAttnCLR'


@pytest.mark.parametrize('name', NAMES)
def test_records_name_a_config_alike_in_the_checkout_and_elsewhere(monkeypatch, name) -> None:
    monkeypatch.chdir(ROOT)
    assert toolbox.config_name(name) == DEMO


def test_a_path_comes_first_and_then_the_configs_of_the_current_folder(elsewhere) -> None:
    own = elsewhere / 'skeattnclr/stgcn_demo'
    own.parent.mkdir()
    own.write_text('')
    assert toolbox.find_config('skeattnclr/stgcn_demo') == Path('skeattnclr/stgcn_demo')
    assert toolbox.config_name('skeattnclr/stgcn_demo') == 'skeattnclr/stgcn_demo'
    own.unlink()
    (elsewhere / 'configs/skeattnclr').mkdir(parents=True)
    (elsewhere / DEMO).write_text('')
    assert toolbox.find_config('skeattnclr/stgcn_demo') == Path(DEMO)


@pytest.mark.parametrize('name', ['skeattnclr/stgcn_dem', '/skeattnclr/stgcn_demo', 'configs/skeattnclr', 'nowhere.py'])
def test_what_names_nothing_is_refused_and_kept_as_it_was_typed(elsewhere, name) -> None:
    with pytest.raises(ConfigError, match=f'^no config file {name}; (did you mean|skeattn info lists)'):
        toolbox.find_config(name)
    assert toolbox.config_name(name) == name and toolbox.locate(name) is None


def test_the_names_are_those_of_the_trainings(elsewhere) -> None:
    (elsewhere / 'configs/mine').mkdir(parents=True)
    (elsewhere / 'configs/mine/own.py').write_text('')
    names = toolbox.config_names()
    assert {'mine/own', 'skeattnclr/stgcn_demo'} <= {*names} and len(names) == len({*names})
    assert not [name for name in names if name.startswith('_')]
    assert toolbox.configs('mine/*.py') == ['configs/mine/own.py']
