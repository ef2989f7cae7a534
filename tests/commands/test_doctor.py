"""doctor: what is required and what is optional, as pyproject.toml has it, and what each lack means."""

import re
import shutil
import sys

import pytest

from skeattn import toolbox
from skeattn.commands import doctor
from tests.conftest import ROOT
from tests.engine.toy import call

PYPROJECT = (ROOT / 'pyproject.toml').read_text()


def stated(key: str) -> dict[str, str]:
    """Distribution -> versions of a list in pyproject.toml."""
    (block,) = re.findall(rf'^{key} = \[(.*?)\]', PYPROJECT, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r'"([a-z0-9-]+)([<>=][^"]*)"', block))


def test_the_tables_agree_with_the_metadata() -> None:
    extras = re.findall(
        r'^([a-z0-9]+) = \[', PYPROJECT.split('[project.optional-dependencies]')[1].split('\n[')[0], re.M
    )
    assert stated('dependencies') == doctor.REQUIRED
    assert {extra: names for extra, (_, names) in doctor.OPTIONAL.items()} == {
        extra: stated(extra) for extra in extras if extra not in ('mmcv', 'dev', 'docs')
    }
    assert f'requires-python = "{doctor.PYTHON.partition(",")[0]}"' in PYPROJECT


@pytest.mark.parametrize(
    ('version', 'supported', 'fits'),
    [
        ('2.13.0+cpu', '>=2.4,<2.14', True),
        ('2.14.0', '>=2.4,<2.14', False),
        ('2.4', '>=2.4,<2.14', True),
        ('2.4.0a1', '>=2.4', True),
        ('2.3.9', '>=2.4', False),
        ('10.0', '>=9.1', True),
        ('0.10.7', '>=0.10.7,<0.11', True),
        ('0.9.12', '>=0.10.7', False),
    ],
)
def test_versions_are_compared_as_numbers(version, supported, fits) -> None:
    assert doctor.fits(version, supported) is fits


def test_this_environment_lacks_nothing_that_is_required(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call('doctor') == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not re.match(r'(ok|note) +\S', line)] == []
    assert any(re.match(r'ok +torch 2\.', line) for line in lines)
    assert any('packed sets in data/: none; make one: skeattn convert synthetic' in line for line in lines)
    call('doctor', '--problems')
    assert capsys.readouterr().out.splitlines() == [line for line in lines if not line.startswith('ok')]


@pytest.mark.parametrize(
    ('versions', 'line'),
    [
        ({'scipy': None}, 'MISSING  scipy is not installed; pip install "scipy>=1.11.1"'),
        ({'torch': '2.3.1'}, 'MISSING  torch 2.3.1 is outside >=2.4,<2.14; pip install "torch>=2.4,<2.14"'),
        ({'mmcv': None, 'mmcv-lite': None}, 'MISSING  neither mmcv-lite nor mmcv is installed; pip install mmcv-lite'),
        (
            {'mmcv': '2.1.0', 'mmcv-lite': '2.2.0'},
            'MISSING  mmcv-lite 2.2.0 and mmcv 2.1.0 are both installed, one over the other; pip uninstall',
        ),
    ],
)
def test_what_is_required_and_missing_gives_status_1(versions, line, capsys, monkeypatch) -> None:
    found = doctor.installed
    monkeypatch.setattr(doctor, 'installed', lambda name: versions[name] if name in versions else found(name))
    assert call('doctor', '--problems') == 1
    assert any(text.startswith(line) for text in capsys.readouterr().out.splitlines())


def test_what_is_optional_and_missing_is_a_note_with_its_extra(monkeypatch) -> None:
    monkeypatch.setattr(doctor, 'installed', lambda name: None if name == 'pillow' else '2.5')
    monkeypatch.setattr(doctor, 'fits', lambda found, supported: True)
    (lack,) = (finding for finding in doctor.findings() if finding.text == 'pillow is not installed')
    assert lack.state == doctor.NOTE and lack.cure.startswith('for pictures: ')
    assert lack.cure.endswith('pip install "skeattn[vis]"')


def test_a_library_that_cannot_be_loaded_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'mmcv', None)
    assert doctor.mmcv().state == doctor.MISSING and 'cannot be imported' in doctor.mmcv().text
    monkeypatch.setitem(sys.modules, 'torch', None)
    assert [finding.state for finding in doctor.devices()] == [doctor.MISSING]


def test_threads_space_and_configs(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv('OMP_NUM_THREADS', '10000')
    assert doctor.processors().state == doctor.NOTE
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    assert doctor.processors().state == doctor.OK
    monkeypatch.chdir(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
    assert [finding.state for finding in doctor.folders()] == [doctor.NOTE] * 3
    monkeypatch.setattr(toolbox, 'CONFIGS', tmp_path)
    assert doctor.configs().state == doctor.MISSING
