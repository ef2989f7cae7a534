"""benchmark.py runs every section, and its record has what the page says."""

import json
import math
import re

import pytest

from skeattn.benchmark.report import SECTIONS
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

TOOL = 'analysis_tools/benchmark.py'
PAGE = ROOT / 'docs/performance.md'
TAKES_A_WHILE = ('backbones', 'steps', 'scaling', 'startup', 'extraction')
KEYS = {'setting', 'rounds', 'clock', 'device', 'ceilings', 'sections'}
ENVIRONMENT = {'versions', 'hardware', 'threads'}
ALWAYS = {'name', 'unit', 'per_second'} | {
    f'{end}' for end in ('median_ms', 'low_ms', 'high_ms', 'ratio', 'ratio_low', 'ratio_high')
}
SOMETIMES = {'gflops', 'gbytes', 'operations', 'peak_mib'}

CEILINGS = {'copy', *(f'{what}_{kind}' for what in ('matmul', 'convolution') for kind in ('float32', 'bfloat16'))}


def numbers(value):
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif not isinstance(value, str):
        yield value


def check(record, section, groups):
    assert set(record) - {'commit', 'dirty'} == KEYS | ENVIRONMENT
    assert set(record['sections']) == {section} and record['rounds'] == 1 and record['device'] == 'cpu'
    assert all(math.isfinite(number) for number in numbers(record))
    assert set(record['ceilings']) == CEILINGS
    measured = record['sections'][section]
    assert len(measured) == groups
    for group in measured:
        assert set(group) == {'title', 'rows'} and group['rows'][0]['ratio'] == 1
        for row in group['rows']:
            assert ALWAYS <= set(row) <= ALWAYS | SOMETIMES
            assert all(row[key] > 0 for key in ALWAYS - {'name', 'unit'})


GROUPS = dict(views=3, backbones=7, steps=6, extraction=1, knn=1, probes=2, conversion=1, startup=1, scaling=4)


@pytest.mark.parametrize(
    'section', [pytest.param(name, marks=[pytest.mark.slow] * (name in TAKES_A_WHILE)) for name in SECTIONS]
)
def test_a_section(tool, tmp_path, section):
    out = tmp_path / 'speed.json'
    arguments = ('--tiny', '--rounds', 1, '--device', 'cpu', '--out', out)
    status, text, err = tool(TOOL, section, *arguments)
    assert status == 0, err
    record = json.loads(out.read_text())
    check(record, section, GROUPS[section])
    for group in record['sections'][section]:
        assert f'{section}: {group["title"]}' in text and all(f'| {row["name"]}' in text for row in group['rows'])


def test_a_config_under_the_new_and_the_old_name(tool, tmp_path):
    out = tmp_path / 'speed.json'
    options = ('--tiny', '--rounds', 1, '--batch', 4, '--device', 'cpu', '--out', out)
    config = ROOT / 'configs/skeletonclr/stgcn_nwucla_xview.py'
    assert tool(TOOL, '--config', config, *options)[0] == 0
    check(json.loads(out.read_text()), 'config', 1)
    status, text, err = tool('analysis_tools/benchmark_step.py', config, *options)
    assert status == 0 and 'benchmark.py --config CONFIG' in err and 'views alone' in text


def test_options_that_do_not_fit(tool):
    for arguments, message in (
        (('nothing',), "section 'nothing' is unknown; choose from views, backbones"),
        (('knn', '--rounds', 0), '--rounds 0 is too small'),
        (('knn', '--bank', -1), '--bank -1 is too small'),
        (('steps', '--batch', 2), 'at least 3 clips'),
        (('steps', '--batch', 7), 'divides the queue of 32768 keys'),
    ):
        status, _, err = tool(TOOL, *arguments)
        assert status == 2 and message in err


def test_the_page_explains_sections_and_keys():
    text = PAGE.read_text()
    explained = set(re.findall(r'`(\w+)`', text))
    assert explained >= {*SECTIONS, *KEYS, *ALWAYS, *SOMETIMES}
