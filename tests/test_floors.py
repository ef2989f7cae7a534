"""The rooms of the package stand on floors: an import goes down, never up, and never in a circle."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import skeattn
from tests.conftest import ROOT

PACKAGE = Path(skeattn.__file__).parent
FLOORS = (
    ('choices', 'errors', 'hardware', 'progress', 'renaming'),
    ('files', 'reading', 'toolbox'),
    ('cli', 'published'),
    ('channels', 'skeletons', 'measure', 'safe_tensors', 'signatures', 'steps', 'training_state'),
    ('registry',),
    ('graph', 'augment'),
    ('datasets',),
    ('models',),
    ('checkpoint',),
    ('evaluation',),
    ('results', 'engine'),
    ('deployment', 'visualization'),
    ('protocols',),
    ('experiments', 'report'),
    ('apis', 'benchmark', 'zoo'),
    ('commands', 'torture'),
    ('__main__',),
)
"""From the ground up; rooms of one floor know nothing of each other."""


@cache
def imports() -> dict[str, set[str]]:
    """Module -> modules of the package that it imports, at its top or inside a function."""
    files = {module_of(file): file for file in PACKAGE.rglob('*.py') if 'builtin' not in file.parts}
    targets = {}
    for module, file in files.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split('.')[0] == 'skeattn':
                parts = [f'{node.module}.{alias.name}' for alias in node.names]
                names |= {part if part in files else node.module for part in parts}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        targets[module] = (names & files.keys()) - {module}
    return targets


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def room(module: str) -> str:
    return module.split('.')[1]


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room(module) for module in imports() if module != 'skeattn'}
    assert rooms == {name for floor in FLOORS for name in floor}


def test_no_import_goes_up() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    wrong = [
        f'{module} imports {target}'
        for module, targets in imports().items()
        for target in targets - {'skeattn'}
        if room(module) != room(target) and floor[room(target)] >= floor[room(module)]
    ]
    assert not wrong


def test_there_is_no_circle_of_modules() -> None:
    """A package's ``__init__`` names what the package offers, so its own modules may not import from it."""
    graph = {module: targets - {'skeattn'} for module, targets in imports().items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f'circle: {" -> ".join(error.args[1])}')


def blocks(heading: str) -> list[str]:
    """The plain blocks of a section of docs/architecture.md."""
    section = (ROOT / 'docs/architecture.md').read_text().split(f'\n## {heading}\n')[1].split('\n## ')[0]
    return re.findall(r'^```\n(.*?)^```', section, re.DOTALL | re.MULTILINE)


def test_the_page_draws_the_floors() -> None:
    picture, *_ = blocks('Floors')
    drawn = [tuple(line.split('  ')[0].split(' · ')) for line in picture.splitlines()]
    assert [sorted(floor) for floor in reversed(drawn)] == [sorted(floor) for floor in FLOORS]


def test_the_page_names_every_room_and_only_files_that_exist() -> None:
    tree, *_ = blocks('Rooms')
    tree = tree.split('\nconfigs/')[0]
    files = {path.name for path in PACKAGE.rglob('*.py')}
    assert set(re.findall(r'\b\w+\.py\b', tree)) <= files | {'compare.py', 'run_table.py'}
    folders = {path.parent.name + '/' for path in PACKAGE.rglob('*.py')}
    modules = {path.name for path in PACKAGE.glob('*.py')} - {'__init__.py'}
    assert folders | modules <= set(re.findall(r'\b\w+(?:\.py\b|/)', tree))


@pytest.mark.slow
def test_what_needs_no_runner_loads_none() -> None:
    code = """
import importlib, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
    if 'mmengine.runner' in sys.modules:
        sys.exit(module)
"""
    modules = ['skeattn.evaluation.knn', 'skeattn.checkpoint', 'skeattn.results.record', 'skeattn.datasets']
    done = subprocess.run([sys.executable, '-c', code, *modules], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
