"""What several test modules need lies in helper modules and conftest files."""

import ast

from tests.conftest import ROOT

MODULES = sorted((ROOT / 'tests').rglob('*.py'))


def test_no_module_imports_a_test_module():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f'{node.module}.{alias.name}' for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            shared = [name for name in names if any(part.startswith('test_') for part in name.split('.'))]
            assert not shared, f'{path.relative_to(ROOT)} imports {", ".join(shared)}: move what it needs to a helper'
