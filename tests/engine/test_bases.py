"""Configs of the toolbox as bases of a config in any folder."""

import pytest

from skeattn.engine.config import read_config
from skeattn.engine.origin import Origin, bases_of
from skeattn.errors import ConfigError
from skeattn.toolbox import CONFIGS


@pytest.mark.parametrize(
    'base', ['skeattnclr/stgcn_demo.py', 'skeattnclr/stgcn_demo', 'configs/skeattnclr/stgcn_demo.py']
)
def test_a_config_of_the_toolbox_is_a_base_by_its_name(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.py').write_text(f"_base_ = 'skeattn::{base}'\nstream = 'bone'\n")
    mine, theirs = read_config('mine.py'), read_config(CONFIGS / 'skeattnclr/stgcn_demo.py', {'stream': 'bone'})
    assert mine.to_dict() == theirs.to_dict()  # types keep their names: no scope is added
    assert bases_of('mine.py') == [str(CONFIGS / 'skeattnclr/stgcn_demo.py')]
    assert str(Origin('mine.py').stated('stream')) == 'mine.py, line 2'


def test_parts_and_paths_can_be_mixed(tmp_path):
    (tmp_path / 'part.py').write_text("layout = 'coco17'\n")
    bases = ["'skeattn::_base_/models/skeattnclr_small.py'", "'skeattn::_base_/small_runtime.py'", "'part.py'"]
    (tmp_path / 'mine.py').write_text(f'_base_ = [{", ".join(bases)}]\n')
    cfg = read_config(tmp_path / 'mine.py')
    assert cfg.layout == 'coco17' and cfg.model.type == 'SkeAttnCLR'


def test_an_unknown_name_is_one_line(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'skeattn::skeattnclr/stgcn_dmeo.py'\n")
    with pytest.raises(ConfigError, match=r"has no such config; did you mean 'skeattnclr/stgcn_demo'"):
        read_config(tmp_path / 'mine.py')
