"""Registries find children's components and name the nearest match of an unknown one."""

import subprocess
import sys

import pytest
from mmengine.registry import DefaultScope
from torch import nn

from skeattn import registry
from skeattn.errors import ConfigError
from skeattn.models import STGCN


@pytest.fixture(params=[None, 'skeattn', 'mmengine'])
def default_scope(request):
    """Components are found with any default scope of a Runner."""
    if request.param is None:
        yield
    else:
        with DefaultScope.overwrite_default_scope(request.param):
            yield


@pytest.mark.usefixtures('default_scope')
@pytest.mark.parametrize('name', ['MODELS', 'BACKBONES'])
def test_a_child_registrys_component_is_found(name):
    assert isinstance(getattr(registry, name).build(dict(type='STGCN', layout='ntu25', base_channels=4)), STGCN)


def test_unknown_type_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'STGNC' is not in the registry 'backbone'; did you mean 'STGCN'"):
        registry.BACKBONES.build(dict(type='STGNC'))


def test_missing_type_is_named():
    with pytest.raises(ConfigError, match='needs a dict with the key "type"'):
        registry.NECKS.build(dict(channels=4))


@pytest.mark.parametrize('keys', [dict(base_chanels=4), dict(layout=None, base_channels=4, channels=3)])
def test_a_mistyped_argument_names_type_and_key(keys):
    with pytest.raises(ConfigError, match=r"type='STGCN'.*(base_chanels|channels)"):
        registry.BACKBONES.build(dict(type='STGCN', **{'layout': 'ntu25', **keys}))


@pytest.mark.parametrize(
    ('cfg', 'near'),
    [
        (
            dict(type='STGCN', layout='ntu25', base_chanels=4),
            "STGCN.* takes no 'base_chanels'; did you mean 'base_chan",
        ),
        (dict(type='Own', widht=4), "Own.* takes no 'widht'; did you mean 'width'"),
        (dict(type='Own', detph=4), "Own.* takes no 'detph'; did you mean 'depth'"),  # of the base class
    ],
)
def test_a_mistyped_argument_names_the_nearest(own, cfg, near):
    with pytest.raises(ConfigError, match=near):
        registry.BACKBONES.build(cfg)


def test_a_defect_within_a_component_keeps_its_traceback(own):
    with pytest.raises(TypeError, match="'kernel'"):
        registry.BACKBONES.build(dict(type='Own', width=3))


@pytest.fixture
def own():
    """A custom component with more arguments than in its signature, which calls a layer wrongly."""

    class Base(nn.Module):
        def __init__(self, depth=1):
            super().__init__()
            nn.Conv2d(3, 4, kernel=depth)

    class Own(Base):
        def __init__(self, width=2, **kwargs):
            super().__init__(**kwargs)

    registry.BACKBONES.register_module(module=Own)
    yield
    del registry.BACKBONES.module_dict['Own']


def test_mmengine_components_are_reachable():
    assert registry.HOOKS.get('IterTimerHook') is not None


def test_import_without_mmcv_names_both_packages():
    code = "import sys; sys.modules['mmcv'] = None\nimport skeattn"
    process = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert process.returncode != 0
    assert 'pip install mmcv-lite' in process.stderr and 'full mmcv' in process.stderr
