"""Help and typos end a tool before its slow imports, and reading raw files needs neither torch nor mmengine."""

import json
import subprocess
import sys
from typing import Any

import pytest

from skeattn import choices
from skeattn.augment.functional import STREAMS
from skeattn.evaluation.embedding_map import METHODS
from skeattn.evaluation.fusion import WEIGHT_SETS
from skeattn.models.readout import MEAN, READOUTS
from skeattn.models.released_weights import MODEL_TYPES
from skeattn.registry import MODELS
from tests.conftest import ROOT
from tests.tools.starting import HEAVY

TOOLS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob('tools/**/*.py'))
HELP, TYPO = '--help', '--no-such-option'


def python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def ends() -> dict[str, dict[str, Any]]:
    """Tool -> argument -> status, output and the heavy packages that it loaded."""
    return json.loads(python('-m', 'tests.tools.starting', *TOOLS, '--', HELP, TYPO))


@pytest.mark.parametrize('tool', TOOLS)
def test_help_loads_nothing_heavy(ends, tool: str) -> None:
    helped = ends[tool][HELP]
    assert (helped['status'], helped['err'], helped['loaded']) == (0, '', [])
    assert helped['out'].startswith(f'usage: {tool.rpartition("/")[2]}')


@pytest.mark.parametrize('tool', TOOLS)
def test_a_typo_loads_nothing_heavy(ends, tool: str) -> None:
    refused = ends[tool][TYPO]
    assert (refused['status'], refused['out'], refused['loaded']) == (2, '', [])
    assert refused['err'].splitlines()[-1].startswith(f'{tool.rpartition("/")[2]}: error: ')


def test_importing_the_package_or_its_formats_loads_nothing_heavy() -> None:
    """Not even mmcv, whose image part takes longest."""
    modules = ['skeattn', 'skeattn.cli', 'skeattn.choices', 'skeattn.datasets', 'skeattn.datasets.converters']
    code = f'import sys, {", ".join(modules)}; print([name for name in {HEAVY} if name in sys.modules])'
    assert python('-c', code) == '[]\n'


@pytest.mark.slow
def test_what_is_imported_late_is_there_and_registered() -> None:
    """The registries know the toolbox's components, whatever was imported before."""
    code = """
import skeattn.datasets
from skeattn.registry import BACKBONES, DATA_SAMPLERS, DATASETS, TRANSFORMS
for registry, name in (DATASETS, 'SkeletonDataset'), (DATA_SAMPLERS, 'GlobalBatchSampler'), (TRANSFORMS, 'Resample'):
    print(registry.module_dict[name] is getattr(skeattn.datasets, name), name in registry.names())
print('STGCN' in BACKBONES.names(), {*skeattn.datasets.__all__} <= {*dir(skeattn.datasets)})
from skeattn.datasets import *
print(Pipeline is skeattn.datasets.transforms.Pipeline, hasattr(skeattn.datasets, 'absent'))
"""
    assert python('-c', code).split() == ['True'] * 9 + ['False']


def test_the_modules_that_implement_a_choice_take_its_names() -> None:
    assert tuple(READOUTS) == choices.READOUTS and choices.READOUTS[0] == choices.MEAN == MEAN
    assert (STREAMS, METHODS) == (choices.STREAMS, choices.MAP_METHODS)
    assert (WEIGHT_SETS, MODEL_TYPES) == (choices.WEIGHT_SETS, choices.RELEASED_TYPES)
    assert all(MODELS.get(name) is not None for name in choices.RELEASED_TYPES.values())
