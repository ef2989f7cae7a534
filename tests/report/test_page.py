"""The file: what it holds, that no text of the data becomes markup, that it needs no network, and its size."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skeattn.report.embedding import BUDGET
from skeattn.report.motion import affordable, quantise
from skeattn.report.page import FOLDER, SCRIPTS, as_json, render
from tests.engine.toy import call
from tests.report.runs import CLASSES, HOSTILE


def data_of(text: str, name: str = 'data') -> Any:
    return json.loads(text.split(f'<script type="application/json" id="{name}">')[1].split('</script>')[0])


@pytest.mark.slow
def test_the_page_holds_the_content_and_the_motion(page: Path) -> None:
    text = page.read_text()
    content, motion = data_of(text), data_of(text, 'motion-0')
    assert [run['name'] for run in content['runs']] == ['skeletonclr', 'skeattnclr']
    assert content['map']['scenes'][0]['classes'] == CLASSES
    assert len(motion['clips']) == content['map']['scenes'][0]['moving']


@pytest.mark.slow
def test_no_text_of_the_data_becomes_markup(page: Path) -> None:
    text = page.read_text()
    assert '<img' not in text and HOSTILE not in text
    assert text.count('</script>') == 3 and text.count('<script') == 3


def test_a_hostile_name_of_a_run_becomes_no_markup() -> None:
    text = render({'title': HOSTILE, 'runs': [{'name': HOSTILE}]}, [{'clips': [HOSTILE]}])
    assert '<img' not in text and '&lt;/script&gt;&lt;img' in text
    assert data_of(text)['runs'][0]['name'] == HOSTILE == data_of(text, 'motion-0')['clips'][0]
    assert as_json('\u2028</') == '"\\u2028\\u003c/"'


@pytest.mark.slow
def test_the_page_needs_no_network(page: Path) -> None:
    text = re.sub(r'<script type="application/json".*?</script>', '', page.read_text(), flags=re.DOTALL)
    assert not re.search(r'src\s*=|@import|url\(|fetch\(|XMLHttpRequest|WebSocket', text)
    assert {*re.findall(r'https?://[^\'"\s)]+', text)} == {'http://www.w3.org/2000/svg'}  # a name, not an address
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and 'unsafe' not in policy


def test_scripts_never_parse_text_as_markup() -> None:
    for source in FOLDER.glob('*.js'):
        assert not re.search(
            r'innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function', source.read_text()
        )
    assert {path.name for path in FOLDER.glob('*.js')} == {*SCRIPTS}


def motions(persons: Sequence[int], frames: int) -> list[list[Any]]:
    """Random clips of the NTU layout as the page stores them."""
    clip = np.random.default_rng(0).normal(size=(2, frames, 25, 3)).astype(np.float32)
    stored = {count: quantise(clip[:count], frames) for count in (1, 2)}
    return [[one, frames, 1.234, stored[one].scale, stored[one].coordinates] for one in persons]


def test_two_thousand_clips_of_pairs_and_their_neighbours_are_at_most_40_mb() -> None:
    persons = np.full(9000, 2)
    costs = persons * 25
    count, frames = affordable(costs * 6, BUDGET - 8 * costs.sum(), 64)
    mask = as_json('A' * (2 * 25 * 8 * 4 // 3))
    rows = {'neighbours': [[8999] * 5] * 2000, 'similarity': [[0.9999] * 5] * 2000, 'points': [[0.1234, 0.1234]] * 2000}
    facts = {'name': ['S001C001P001R001A001'] * 9000, 'label': [119] * 9000, 'subject': [100] * 9000}
    motion = {'clips': motions(persons[:count].tolist(), frames), 'masks': {0: [mask] * count}}
    text = render({'title': 'large', 'map': [rows, facts]}, [motion])
    assert count >= 2000 and 25e6 < len(text) <= 40e6


def test_the_command_writes_the_page_and_names_what_is_missing(work_dirs, tmp_path, capsys) -> None:
    out = tmp_path / 'page.html'
    call('report', f'ours={work_dirs[1]}', '--out', out, '--method', 'pca', '--cfg-options', 'dataset.data=nowhere')
    printed = capsys.readouterr().out
    assert 'ours: no map: no packed set at nowhere' in printed and f'wrote {out}: 1 run, ' in printed
    content = data_of(out.read_text())
    assert 'no packed set' in content['map']['runs'][0]['reason'] and content['numbers']['tables']


def test_the_command_overwrites_nothing_but_pages(work_dirs, tmp_path) -> None:
    (tmp_path / 'labels.csv').write_text('name,label')
    with pytest.raises(ValueError, match=r'labels\.csv: the page is HTML; give a name that ends with \.html'):
        call('report', work_dirs[0], '--out', tmp_path / 'labels.csv')
    assert (tmp_path / 'labels.csv').read_text() == 'name,label'


@pytest.mark.parametrize('options', [('--limit', 3), ('--neighbours', 0)])
def test_the_command_refuses_what_makes_no_map(work_dirs, options) -> None:
    with pytest.raises(ValueError, match='must be at least 4, and --neighbours'):
        call('report', work_dirs[0], *options)
