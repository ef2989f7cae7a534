"""Facts about the project that are written in several places agree."""

import re
import subprocess
import sys

import pytest
import yaml

import skeattn
from tests.conftest import ROOT

PYPROJECT = (ROOT / 'pyproject.toml').read_text()
WORKFLOW = yaml.safe_load((ROOT / '.github/workflows/test.yml').read_text())
CASES = WORKFLOW['jobs']['fast']['strategy']['matrix']['include']


def test_citation_and_changelog_have_the_version():
    assert yaml.safe_load((ROOT / 'CITATION.cff').read_text())['version'] == skeattn.__version__
    assert f'\n## [{skeattn.__version__}] - ' in (ROOT / 'CHANGELOG.md').read_text()


def test_the_citation_is_that_of_the_front_page():
    paper = yaml.safe_load((ROOT / 'CITATION.cff').read_text())['preferred-citation']
    entry = re.search(r'@inproceedings\{.*?\n\}', (ROOT / 'README.md').read_text(), re.DOTALL)[0]
    fields = dict(re.findall(r'(\w+) += \{(.*)\}', entry))
    assert fields['title'] == paper['title'] and int(fields['year']) == paper['year']
    names = [f'{author["family-names"]}, {author["given-names"]}' for author in paper['authors']]
    assert fields['author'] == ' and '.join(names)


@pytest.mark.parametrize('end', [min, max])
def test_the_workflow_covers_both_ends_of_the_supported_versions(end):
    pythons = re.findall(r'Programming Language :: Python :: 3\.(\d+)', PYPROJECT)
    assert end(int(case['python'].removeprefix('3.')) for case in CASES) == end(map(int, pythons))
    low, beyond = re.search(r'"torch>=2\.(\d+),<2\.(\d+)"', PYPROJECT).groups()
    minors = [int(case['torch'].split('.')[1]) for case in CASES]
    assert end(minors) == end(int(low), int(beyond) - 1)


@pytest.mark.parametrize(
    'module', ['skeattn', 'skeattn.skeletons', 'skeattn.cli', 'skeattn.apis', 'skeattn.evaluation']
)
def test_windows_is_refused_in_one_line_with_the_cure(module):
    """Kind F7: imports that exist on POSIX alone. A stand-in: Python without fcntl, as on Windows."""
    code = f"import sys; sys.modules['fcntl'] = sys.modules['resource'] = None; import {module}"
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 1
    last = run.stderr.splitlines()[-1]
    assert last.startswith('ModuleNotFoundError: skeattn runs on Linux and macOS, and on Windows within WSL')


def test_the_supported_systems_stand_in_readme_and_metadata():
    systems = re.findall(r'"Operating System :: (.*?)"', PYPROJECT)
    assert systems == ['MacOS', 'POSIX :: Linux']
    assert re.search(r'Linux, macOS or, on Windows, \[WSL\]', (ROOT / 'README.md').read_text())
