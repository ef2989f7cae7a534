"""The package after ``pip install .``: without the checkout, from any folder."""

import json
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
    for name in ('skeattn', 'configs', 'tools'):
        shutil.copytree(ROOT / name, folder / 'source' / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('pyproject.toml', 'setup.py', 'MANIFEST.in', 'README.md', 'LICENSE'):
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

    def run(program: str, *arguments: str | Path) -> str:
        (tmp_path / 'program.py').write_text(program)
        return started([str(tmp_path / 'program.py'), *map(str, arguments)], packages, tmp_path / 'elsewhere')

    return run


def started(arguments: list[str], packages: Path, folder: Path) -> str:
    """Output of Python with the installed package in a folder."""
    environment = {**os.environ, 'PYTHONPATH': str(packages)}
    command = [sys.executable, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


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


def test_a_config_inherits_from_one_of_the_wheel(python) -> None:
    program = """
from pathlib import Path
from skeattn.engine.config import read_config
Path('mine.py').write_text("_base_ = 'skeattn::skeattnclr/stgcn_demo.py'\\nstream = 'bone'\\n")
cfg = read_config('mine.py')
print(cfg.model.type, cfg.stream)
"""
    assert python(program) == 'SkeAttnCLR bone'


def test_every_protocol_is_known(python) -> None:
    names = python("from skeattn.protocols.settings import protocol_names\nprint(','.join(protocol_names()))")
    assert names.split(',') == protocol_names()


def test_an_untrained_model_is_evaluated_end_to_end(python, tmp_path: Path) -> None:
    metrics = python(END_TO_END, write_set(tmp_path / 'set')).splitlines()[-1]
    assert '"knn/top1_k1"' in metrics and '"linear/top1"' in metrics


def test_the_configs_and_scripts_are_inside(packages: Path) -> None:
    share = packages / 'skeattn/share'
    configs = {path.relative_to(ROOT) for path in (ROOT / 'configs').rglob('*.py')}
    assert configs and not {path for path in configs if not (share / path).is_file()}
    scripts = [share / 'tools' / name for name in ('_launch.sh', 'dist_train.sh', 'slurm_train.sh', 'train.py')]
    assert all(script.is_file() for script in scripts) and os.access(scripts[0], os.X_OK)
    assert not list(share.rglob('setup_env.sh'))


def test_the_command_line_runs_from_an_empty_folder(packages: Path, tmp_path: Path) -> None:
    """What is found by name, the data that are generated, and a training of two iterations."""

    def skeattn(*arguments: str) -> str:
        return started(['-m', 'skeattn', *arguments], packages, tmp_path)

    config = packages / 'skeattn/share/configs/skeattnclr/stgcn_demo.py'
    facts = json.loads(skeattn('info', 'skeattnclr/stgcn_demo', '--json'))
    assert facts['file'] == str(config) and facts['method'] == 'SkeAttnCLR'
    assert str(packages / 'skeattn/share/configs') in skeattn('doctor')
    settings = ['--cfg-options', 'max_iters=2', 'batch_size=4', 'evaluation=None']
    out = skeattn('train', 'skeattnclr/stgcn_demo', *settings, 'default_hooks.checkpoint.save_best=None')
    assert 'generating data/demo' in out and 'evaluate: skeattn test configs/skeattnclr/stgcn_demo.py' in out
    run = tmp_path / 'work_dirs/skeattnclr/stgcn_demo'
    assert json.loads(skeattn('info', str(run), '--json'))['iteration'] == 2
    assert {path.name for path in tmp_path.iterdir()} == {'data', 'work_dirs'}
