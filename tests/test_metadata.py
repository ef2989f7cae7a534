"""What the project says of itself in several places is the same in all of them."""

import re

import pytest
import yaml

import skeattn
from tests.conftest import ROOT

PYPROJECT = (ROOT / 'pyproject.toml').read_text()
WORKFLOW = yaml.safe_load((ROOT / '.github/workflows/test.yml').read_text())
CASES = WORKFLOW['jobs']['fast']['strategy']['matrix']['include']


def test_citation_and_changelog_know_the_version():
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
def test_the_workflow_covers_both_ends_of_what_is_supported(end):
    pythons = re.findall(r'Programming Language :: Python :: 3\.(\d+)', PYPROJECT)
    assert end(int(case['python'].removeprefix('3.')) for case in CASES) == end(map(int, pythons))
    low, beyond = re.search(r'"torch>=2\.(\d+),<2\.(\d+)"', PYPROJECT).groups()
    minors = [int(case['torch'].split('.')[1]) for case in CASES]
    assert end(minors) == end(int(low), int(beyond) - 1)
