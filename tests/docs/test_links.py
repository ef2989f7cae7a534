"""Every relative link of every page leads to a file, and to a heading where it names one; nothing is fetched."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.commands import FENCE, pages

PAGES = sorted({*pages(), ROOT / 'CHANGELOG.md', *ROOT.glob('.github/**/*.md')})
LINK = re.compile(r'!?\[(?:[^][]|\[[^][]*\])*\]\(([^()\s]+)\)')
CODE = re.compile(r'`[^`\n]+`')


def links(text: str) -> list[str]:
    """Targets of a page's links, without those inside code and those with a scheme."""
    prose = CODE.sub('code', FENCE.sub('', text))
    return [target for target in LINK.findall(prose) if not re.match(r'\w+:', target)]


def anchors(text: str) -> Iterator[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    for heading in re.findall(r'^#+ +(.+?) *$', FENCE.sub('', text), re.MULTILINE):
        plain = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading).lower()
        anchor = re.sub(r'[^\w\- ]', '', plain).replace(' ', '-')
        yield f'{anchor}-{seen[anchor]}' if seen[anchor] else anchor
        seen[anchor] += 1


def wrong_links(page: Path, text: str) -> list[str]:
    """Links of a page that lead nowhere."""
    wrong = []
    for link in links(text):
        name, _, anchor = link.partition('#')
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text() if name else text)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert not wrong_links(page, page.read_text())


def test_wrong_links_are_found() -> None:
    text = (
        '# A `b`: c\n## Same\n## Same\n[1](#a-b-c) [2](#same-1) [3](test_links.py) [4](https://x.org/y) [`d`](..)\n'
        '[5](#same-2) [6](missing.md) `[7](code.md)`\n```\n[8](block.md)\n# comment\n```\n'
        '[9](#comment) ![a [b]](none.png)\n'
    )
    assert wrong_links(Path(__file__), text) == ['#same-2', 'missing.md', '#comment', 'none.png']
