"""Every promise of the page names tests that exist, and every test of that kind is named."""

import re

from tests.conftest import ROOT

PAGE = ROOT / 'docs/reliability.md'


def promises() -> list[tuple[str, str]]:
    """(promise, tests) of each row of the first table."""
    table = PAGE.read_text().split('## Measured')[0]
    return re.findall(r'^\| (?!promise)([^|\n]+) \| ([^|\n]+) \|$', table, re.MULTILINE)


def test_every_promise_names_tests_that_exist() -> None:
    assert len(promises()) >= 15
    for promise, tests in promises():
        names = re.findall(r'\[`(tests/[\w/]+\.py)`\]\(\.\./\1\)', tests)
        assert names and len(names) == tests.count('['), promise
        for name in names:
            assert 'def test_' in (ROOT / name).read_text(), name


def test_every_test_of_faults_and_torture_is_named() -> None:
    named = PAGE.read_text()
    files = [*ROOT.glob('tests/torture/test_*.py'), *ROOT.glob('tests/faults/test_*.py')]
    missing = [file.name for file in files if file.name not in named]
    assert set(missing) <= {'test_traces.py', 'test_cases.py'}  # of the comparison, and of what converters warn of
