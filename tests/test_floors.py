"""The rooms of the package stand on floors: an import goes down, never up, and never in a circle."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import skeattn

PACKAGE = Path(skeattn.__file__).parent
FLOORS = (
    ('errors', 'progress'),
    ('files', 'cli'),
    ('channels', 'registry', 'skeletons', 'measure'),
    ('graph', 'augment'),
    ('datasets',),
    ('models',),
    ('checkpoint',),
    ('evaluation',),
    ('results', 'engine'),
    ('visualization',),
    ('protocols',),
    ('experiments',),
    ('apis',),
)
"""From the ground up; rooms of one floor know nothing of each other."""


def imports() -> dict[str, set[str]]:
    """Module -> modules of the package that it imports, at its top or inside a function."""
    files = {module_of(file): file for file in PACKAGE.rglob('*.py') if 'builtin' not in file.parts}
    found = {}
    for module, file in files.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split('.')[0] == 'skeattn':
                parts = [f'{node.module}.{alias.name}' for alias in node.names]
                names |= {part if part in files else node.module for part in parts}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        found[module] = (names & files.keys()) - {module}
    return found


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
    assert (done.returncode, done.stderr) == (0, '')
