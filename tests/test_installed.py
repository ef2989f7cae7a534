"""The package after ``pip install .``: without the checkout, from any folder."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import skeattn
from skeattn.protocols.settings import protocol_names
from tests.conftest import ROOT
from tests.engine.toy import write_set

pytestmark = pytest.mark.slow
ON_ARRAYS = """
import torch
from skeattn.evaluation import Features, KNNEvaluator, LinearProbe

def blobs(clips, seed):
    draws = torch.Generator().manual_seed(seed)
    labels = torch.arange(clips) % 3
    x = 5 * torch.eye(3, 8)[labels] + torch.randn(clips, 8, generator=draws)
    return Features(x, labels, torch.arange(clips) % 4, [f'clip {i}' for i in range(clips)])

bank, test = blobs(90, 0), blobs(30, 1)
print(KNNEvaluator((5,))(bank, test)['top1_k5'], LinearProbe(epochs=20, lr=1.0)(bank, test)['top1'])
"""

END_TO_END = """
import json, sys
from pathlib import Path
from mmengine.config import Config
import skeattn.models
from skeattn.engine.config import resolve_config
from skeattn.protocols.evaluate import Evaluation

mlp = dict(type='MLP', hidden_channels=8, out_channels=8)
cfg = resolve_config(Config(dict(
    stream='joint', layout='ntu25', seed=0,
    model=dict(
        type='SkeletonCLR', backbone=dict(type='STGCN', base_channels=2, out_channels=8), projector=mlp,
        queue=dict(size=8), loss=dict(type='InfoNCE'), data_preprocessor=dict(type='SkeletonPreprocessor'),
    ),
    dataset=dict(data=sys.argv[1], split='xsub', pipeline=dict(
        resample=dict(type='Resample', num_frames=16), pack=dict(type='PackClip', num_persons=1),
    )),
)))
Evaluation(cfg, protocols=['knn', 'linear'], device='cpu').run(Path('record.json'))
print(json.dumps(json.loads(Path('record.json').read_text())['sources']['backbone']['metrics']))
"""


@pytest.fixture(scope='module')
def packages(tmp_path_factory) -> Path:
    """A folder with a wheel of the package installed, and nothing else.

    The wheel is built from a copy, because building writes files beside the source.
    """
    for name, needed in (('pip', 21), ('setuptools', 77)):
        if (installed := major_version(name)) < needed:
            pytest.skip(f'a wheel is built with {name}>={needed}; this environment has {installed or "none"}')
    folder = tmp_path_factory.mktemp('installed')
    shutil.copytree(ROOT / 'skeattn', folder / 'source/skeattn', ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('pyproject.toml', 'setup.py', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, folder / 'source' / name)
    offline = ('--no-index', '--no-deps', '--disable-pip-version-check', '--quiet')
    pip('wheel', *offline, '--no-build-isolation', '--wheel-dir', folder / 'wheels', folder / 'source')
    (wheel,) = (folder / 'wheels').iterdir()
    assert wheel.name == f'skeattn-{skeattn.__version__}-py3-none-any.whl'
    pip('install', *offline, '--target', folder / 'packages', wheel)
    return folder / 'packages'


def major_version(name: str) -> int:
    """Of an installed distribution, 0 if it is not installed."""
    try:
        return int(version(name).partition('.')[0])
    except PackageNotFoundError:
        return 0


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, '-m', 'pip', *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture
def python(packages: Path, tmp_path: Path):
    """Run a program from an empty folder, with the installed package and without the checkout: ``-> its output``."""
    (tmp_path / 'elsewhere').mkdir()
    environment = {**os.environ, 'PYTHONPATH': str(packages)}

    def run(program: str, *arguments: str | Path) -> str:
        (tmp_path / 'program.py').write_text(program)
        command = [sys.executable, str(tmp_path / 'program.py'), *map(str, arguments)]
        folder = tmp_path / 'elsewhere'
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    return run


def test_the_installed_package_is_the_one_imported(python, packages: Path) -> None:
    file = python('import skeattn\nprint(skeattn.__file__)')
    assert Path(file).resolve() == (packages / 'skeattn/__init__.py').resolve()


def test_the_files_beside_the_modules_are_installed(packages: Path) -> None:
    """All files of the package, except those that Python and editors write."""
    inside = {
        path.relative_to(ROOT)
        for path in (ROOT / 'skeattn').rglob('*')
        if path.is_file() and '__pycache__' not in path.parts and not path.name.startswith('.')
    }
    assert not {path for path in inside if not (packages / path).is_file()}


def test_knn_and_the_linear_probe_run_on_arrays(python) -> None:
    knn, linear = map(float, python(ON_ARRAYS).split())
    assert knn > 90 and linear > 90


def test_every_protocol_is_known(python) -> None:
    names = python("from skeattn.protocols.settings import protocol_names\nprint(','.join(protocol_names()))")
    assert names.split(',') == protocol_names()


def test_an_untrained_model_is_evaluated_end_to_end(python, tmp_path: Path) -> None:
    metrics = python(END_TO_END, write_set(tmp_path / 'set')).splitlines()[-1]
    assert '"knn/top1_k1"' in metrics and '"linear/top1"' in metrics
