"""The page in a real browser: it loads, filters, plays, reads by keyboard, and fits a phone."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from skeattn.report import MapOptions, write_report
from tests.conftest import ROOT
from tests.report.runs import CLASSES, TEST

pytestmark = pytest.mark.slow

PICTURES = 'SKEATTN_PICTURES'
"""Variable with a folder of work_dirs, of which the pictures of docs/images are made."""
CHANGES = """
node => new Promise(done => {
  const before = node.textContent;
  const watch = new MutationObserver(() => { watch.disconnect(); done([before, node.textContent]); });
  watch.observe(node, {childList: true, characterData: true, subtree: true});
  setTimeout(() => done([before, null]), 15000);
})
"""
"""The text of an element and the next one, both read in the page: a clip comes round between two reads from outside."""


@pytest.fixture
def visit(browser, page: Path) -> Iterator[Any]:
    """Open a page: ``visit(width=..., **settings of the browser) -> tab``; any message of the console is an error."""
    contexts, messages = [], []

    def open_page(path: Path = page, width: int = 1280, height: int = 900, **settings: Any) -> Any:
        context = browser.new_context(viewport={'width': width, 'height': height}, offline=True, **settings)
        contexts.append(context)
        tab = context.new_page()
        tab.on('console', lambda message: messages.append(message.text))
        tab.on('pageerror', lambda error: messages.append(str(error)))
        tab.goto(path.as_uri())
        tab.wait_for_selector('html[data-ready]')
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []


def choose(tab: Any, run: int = 0) -> None:
    """Play the first clip of a map by the keyboard."""
    tab.locator('.map canvas').nth(run).focus()
    tab.keyboard.press('ArrowRight')
    tab.keyboard.press('Enter')


def test_every_part_is_there_and_nothing_of_the_data_runs(visit) -> None:
    tab = visit()
    assert tab.locator('h1').inner_text() == 'skeletonclr · skeattnclr'
    assert tab.locator('section h2').all_inner_texts() == [
        *('Summary', 'Accuracy', 'Training', 'Map of the clips', 'Classes', 'Configs')
    ]
    assert tab.locator('.missing').all_inner_texts() == ['No clip is chosen.']
    assert tab.locator('.figures .value').all_inner_texts() == ['58.0', '62.1', '61.5', '71.3']
    choose(tab)
    assert tab.evaluate('document.documentElement.dataset.hacked') is None
    assert tab.locator('img, main script').count() == 0
    assert CLASSES[0] in tab.locator('.chips').inner_text()


def test_a_click_on_a_point_plays_its_clip(visit) -> None:
    tab = visit(reduced_motion='no-preference')
    canvas = tab.locator('.map canvas').first
    canvas.scroll_into_view_if_needed()
    place = tab.evaluate("""() => {
      const canvas = document.querySelector('.map canvas'), {width, height} = canvas.getBoundingClientRect();
      const points = report.map.runs[0].points, margin = 0.04 * width;
      const [right, top] = [0, 1].map(axis => Math.max(...points.map(point => point[axis])));
      const [x, y] = points[3], inside = size => size - 2 * margin;
      return {x: margin + x * inside(width) / right, y: height - margin - y * inside(height) / top};
    }""")
    canvas.click(position=place)
    assert tab.locator('.player > .note').first.inner_text() == 'clip003'
    assert tab.locator('.player button.primary').inner_text() == 'Pause'
    before, after = tab.locator('.frame').evaluate(CHANGES)
    assert re.fullmatch(r'frame \d+ of 16', before) and re.fullmatch(r'frame \d+ of 16', after) and before != after
    tab.locator('.player button.primary').click()
    assert tab.locator('.player button.primary').inner_text() == 'Play'


def test_steps_move_one_frame_and_the_picture(visit) -> None:
    tab = visit(reduced_motion='reduce')
    choose(tab)
    pixels = "() => document.querySelector('.query canvas').toDataURL()"
    before = tab.evaluate(pixels)
    for frame in (2, 3):
        tab.get_by_role('button', name='Next frame').click()
        assert tab.locator('.frame').inner_text() == f'frame {frame} of 16'
    assert tab.evaluate(pixels) != before
    for _ in range(2):
        tab.get_by_role('button', name='Previous frame').click()
    assert tab.locator('.frame').inner_text() == 'frame 1 of 16'
    tab.get_by_role('button', name='Previous frame').click()
    assert tab.locator('.frame').inner_text() == 'frame 16 of 16'


def test_dragging_turns_the_skeleton(visit) -> None:
    tab = visit(reduced_motion='reduce')
    choose(tab)
    stage = tab.locator('.query canvas').first
    stage.scroll_into_view_if_needed()
    before, box = stage.evaluate('node => node.toDataURL()'), stage.bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 60, y, steps=3)
    tab.mouse.up()
    assert stage.evaluate('node => node.toDataURL()') != before
    assert float(tab.locator('.player').get_attribute('data-yaw')) == pytest.approx(0.436 + 0.6, abs=0.01)


def test_neighbours_tell_their_class_and_whether_they_are_right(visit, page: Path) -> None:
    tab = visit(reduced_motion='reduce')
    choose(tab)
    content = tab.evaluate('() => report.map')
    (scene,) = content['scenes']
    name = tab.locator('.player > .note').first.inner_text()
    row = scene['name'].index(name)
    for run, shown in enumerate(tab.locator('.runs > div').all()):
        neighbours = content['runs'][run]['neighbours'][row]
        right = [scene['label'][i] == scene['label'][row] for i in neighbours]
        verdicts = shown.locator('.verdict').all_inner_texts()
        assert verdicts == ['right ✓' if one else 'wrong ✗' for one in right]
        assert f'{sum(right)} of 4 nearest training clips' in shown.locator('h3').inner_text()
        captions = shown.locator('.neighbours figcaption').all_inner_texts()
        assert all(CLASSES[scene['label'][i]] in text for i, text in zip(neighbours, captions, strict=True))
    assert [run.locator('.scale').count() for run in tab.locator('.runs > div').all()] == [0, 1]


def visible(tab: Any) -> list[int]:
    return [int(one.get_attribute('data-visible')) for one in tab.locator('.map canvas').all()]


def test_filters_leave_as_many_points_as_there_are_clips(visit) -> None:
    tab = visit()
    scene = tab.evaluate('() => report.map.scenes[0]')
    labels, subjects, cameras = (Counter(scene[key][:TEST]) for key in ('label', 'subject', 'camera'))
    assert visible(tab) == [TEST, TEST]
    tab.get_by_role('button', name='No class').click()
    assert visible(tab) == [0, 0]
    for number, name in enumerate(CLASSES):
        box = tab.locator('.chips label').nth(number)
        assert box.inner_text().strip() == name
        box.click()
        assert visible(tab) == [labels[number]] * 2
        assert f'{labels[number]} of {TEST} clips' in tab.locator('.map').first.inner_text()
        box.click()
    tab.get_by_role('button', name='All classes').click()
    tab.get_by_label('subject', exact=True).select_option(label='5')
    assert visible(tab) == [subjects[5]] * 2
    tab.get_by_label('subject', exact=True).select_option(label='all')
    tab.get_by_label('view', exact=True).select_option(label='2')
    assert visible(tab) == [cameras[2]] * 2
    tab.get_by_label('view', exact=True).select_option(label='all')
    tab.get_by_label('nearest neighbour', exact=True).select_option(label='wrong')
    wrong = visible(tab)
    tab.get_by_label('nearest neighbour', exact=True).select_option(label='right')
    assert [a + b for a, b in zip(wrong, visible(tab), strict=True)] == [TEST, TEST]


def test_the_keyboard_reaches_everything(visit) -> None:
    tab = visit(reduced_motion='reduce')
    tab.keyboard.press('Tab')
    assert tab.evaluate('document.activeElement.className') == 'skip'
    chart = tab.locator('.chart svg').first
    chart.focus()
    tab.keyboard.press('Home')
    loss = tab.evaluate('() => report.curves[0].series.map(one => one.y[0])')
    readout = tab.locator('.chart .readout').first.inner_text()
    assert 'epoch 0.5' in readout and all(f'{value:g}' in readout for value in loss)
    tab.locator('.map canvas').nth(1).focus()
    seen = set()
    for key in ('ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowLeft', 'ArrowUp'):
        tab.keyboard.press(key)
        seen.add(tab.locator('.map').nth(1).locator('[aria-live]').inner_text())
    assert len(seen) > 1 and all('subject' in text for text in seen)
    tab.keyboard.press('Enter')
    tab.locator('.query canvas').first.focus()
    tab.keyboard.press('Space')
    assert tab.locator('.player button.primary').inner_text() == 'Pause'
    matrix = tab.locator('.matrix canvas').first
    matrix.focus()
    tab.keyboard.press('ArrowRight')
    tab.keyboard.press('ArrowRight')
    assert '2 of 7 clips (29 %)' in tab.locator('.matrix .readout').first.inner_text()
    unnamed = """() => {
      const controls = 'button, select, input, canvas[tabindex], svg[tabindex], [role=region]';
      const named = node => node.getAttribute('aria-label') || (node.closest('label') || node).textContent.trim();
      return [...document.querySelectorAll(controls)].filter(node => !named(node)).length;
    }"""
    assert tab.evaluate(unnamed) == 0


def test_a_heading_sorts_the_classes(visit) -> None:
    tab = visit()
    names = lambda: tab.locator('table.classes tbody th').all_inner_texts()  # noqa: E731
    assert names()[0] == CLASSES[2]  # the greatest gain
    tab.locator('table.classes thead button', has_text='class').first.click()
    assert sorted(names()) == sorted(CLASSES) and names() != [CLASSES[2], CLASSES[0], CLASSES[1]]
    assert tab.locator('table.classes thead th').first.get_attribute('aria-sort') == 'ascending'


@pytest.mark.parametrize('width', [375, 768, 1280])
def test_no_width_overflows(visit, width: int) -> None:
    tab = visit(width=width, height=800, reduced_motion='reduce')
    choose(tab)
    tab.locator('details > summary').first.click()
    assert tab.evaluate('document.documentElement.scrollWidth') == width


def test_dark_is_dark(visit, tmp_path: Path) -> None:
    grounds = {}
    for scheme in ('light', 'dark'):
        tab = visit(color_scheme=scheme, reduced_motion='reduce')
        choose(tab)
        tab.screenshot(path=tmp_path / f'{scheme}.png')
        grounds[scheme] = Image.open(tmp_path / f'{scheme}.png').convert('L').resize((1, 1)).getpixel((0, 0))
    assert grounds['light'] > 200 and grounds['dark'] < 60


def test_a_page_with_missing_parts_says_so(visit, work_dirs, tmp_path: Path) -> None:
    bare = tmp_path / 'bare'
    bare.mkdir()
    (bare / 'record.json').write_text((work_dirs[0] / 'test_epoch_1.json').read_text())
    write_report([bare], tmp_path / 'bare.html', MapOptions('pca'))
    tab = visit(tmp_path / 'bare.html')
    said = ' '.join(tab.locator('.missing').all_inner_texts())
    assert all(text in said for text in ('holds no checkpoint', 'scalars.json', 'holds no config'))
    assert tab.locator('.facts dd').count() > 3 and tab.locator('.matrix canvas').count() == 1


def test_two_thousand_points_are_drawn_fast_enough_to_follow_a_pointer(visit, page: Path, tmp_path: Path) -> None:
    """By the number of drawn points, not by a clock: a move of the pointer draws each map once."""
    text = page.read_text()
    head, _, rest = text.partition('<script type="application/json" id="data">')
    data, _, tail = rest.partition('</script>')
    content = json.loads(data)
    (scene,), copies = content['map']['scenes'], 2000
    for key in ('name', 'label', 'subject', 'camera', 'seconds'):
        scene[key] = [scene[key][i % TEST] for i in range(copies)]
    scene['on_map'] = scene['of'] = copies
    for run in content['map']['runs']:
        for key in ('neighbours', 'similarity'):
            run[key] = [run[key][i % TEST] for i in range(copies)]
        run['points'] = [[(i % 50) / 50, (i // 50) / 40] for i in range(copies)]
    path = tmp_path / 'large.html'
    path.write_text(
        head
        + '<script type="application/json" id="data">'
        + json.dumps(content).replace('<', '\\u003c')
        + '</script>'
        + tail
    )
    tab = visit(path)
    assert visible(tab) == [copies, copies]
    tab.evaluate("""() => {
      window.drawn = 0;
      const draw = MapView.prototype.draw;
      MapView.prototype.draw = function (...given) { window.drawn++; return draw.apply(this, given); };
    }""")
    canvas = tab.locator('.map canvas').first
    canvas.hover(position={'x': 40, 'y': 40})
    assert 1 <= tab.evaluate('window.drawn') <= 4


@pytest.mark.skipif(PICTURES not in os.environ, reason=f'{PICTURES} names no folder of work_dirs')
def test_pictures_of_the_docs(visit, tmp_path: Path) -> None:
    images = ROOT / 'docs/images'
    write_report([os.environ[PICTURES]], tmp_path / 'page.html', MapOptions())
    for name, scheme in (('map', 'light'), ('classes', 'dark')):
        tab = visit(tmp_path / 'page.html', width=1180, color_scheme=scheme, reduced_motion='reduce')
        choose(tab)
        for _ in range(10):
            tab.get_by_role('button', name='Next frame').click()
        target = images / f'report_{name}.png'
        tab.locator(f'#{name}').screenshot(path=target)
        Image.open(target).convert('RGB').save(target, optimize=True)
        assert target.stat().st_size < 300_000
