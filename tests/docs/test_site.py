"""The documentation site: links between files become links between pages, every page is in it, and it builds.

What needs mkdocs is skipped without it (``pip install -e ".[docs]"``), and fails instead where SKEATTN_REQUIRE_DOCS=1.
"""

import html.parser
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

from tests.conftest import ROOT
from tests.docs.commands import pages


def module(name: str) -> ModuleType:
    """A module of docs/site, imported as mkdocs does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / 'docs/site')
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if os.environ.get('SKEATTN_REQUIRE_DOCS') == '1':
                raise
            pytest.skip(f'{error.name} is not installed (extra docs)')


repository = module('repository')


@pytest.mark.parametrize(
    ('path', 'uri'),
    [
        ('README.md', 'index.md'),
        ('docs/data.md', 'data.md'),
        ('docs/results/README.md', 'results/README.md'),
        ('docs/results', 'results/README.md'),
        ('docs/images/mask.gif', 'images/mask.gif'),
        ('configs/mamp/README.md', 'methods/mamp.md'),
        ('configs/mamp', 'methods/mamp.md'),
        ('projects/example_backbone/README.md', 'projects/example_backbone.md'),
        ('skeattn/graph.py', 'source/skeattn/graph.py.md'),
        ('tests/distributed', 'source/tests/distributed/index.md'),
    ],
)
def test_a_file_has_its_place(path: str, uri: str) -> None:
    assert repository.uri_of(path) == uri


def test_links_lead_to_pages() -> None:
    text = (
        '[a](../../docs/data.md#the-sets) [b `c`](../mamp/README.md) [d](#here) [e](https://x.org/y.md) ![f](x.png)\n'
        '`[g](../mamp/README.md)`\n```\n[h](../mamp/README.md)\n```\n[i](../../skeattn/graph.py) [j](mailto:a@b.c)\n'
    )
    assert repository.rewritten(text, 'configs/stars/README.md') == (
        '[a](../data.md#the-sets) [b `c`](mamp.md) [d](#here) [e](https://x.org/y.md) '
        '![f](../source/configs/stars/x.png.md)\n'
        '`[g](../mamp/README.md)`\n```\n[h](../mamp/README.md)\n```\n'
        '[i](../source/skeattn/graph.py.md) [j](mailto:a@b.c)\n'
    )
    assert repository.rewritten('[a](docs/data.md)', 'README.md') == '[a](data.md)'
    assert repository.rewritten('[a](../data.md#b)', 'docs/results/reading.md') == '[a](../data.md#b)'
    assert list(repository.targets(text, 'configs/stars/README.md'))[:2] == ['docs/data.md', 'configs/mamp/README.md']


def test_a_folder_lists_its_files() -> None:
    text = repository.source_page('docs/results/since_2023_demo')
    names = sorted(path.name for path in (ROOT / 'docs/results/since_2023_demo').iterdir())
    assert re.findall(r'^\* \[`(.+)`\]\(../../../../results/since_2023_demo/(.+)\)$', text, re.MULTILINE) == [
        (name, name) for name in names
    ]
    assert '* `test_two_processes.py`' in repository.source_page('tests/distributed')


def test_the_house_has_every_room_of_the_picture() -> None:
    house = module('house')
    drawn = house.house('apis · benchmark    a trained encoder | speed\nmodels     networks & losses\n', 'a/b.md')
    assert drawn.count('class="floor"') == 2 and 'networks &amp; losses' in drawn
    assert re.findall(r'<code>(\w+)</code>', drawn) == ['apis', 'benchmark', 'models']
    assert re.findall(r'href="(.+?)"', drawn) == ['../reference/apis.html', '../reference/models.html']
    assert house.plain().count('\n') >= 15 and 'skeletons' in house.drawn(f'# A\n{house.MARK}\n', 'b.md')


def test_an_entry_of_the_navigation_is_a_pattern() -> None:
    nav = [{'A': ['a.md', 'none.md', '*.md']}, {'B': ['b/c.md', 'b/*.md']}, {'C': ['none/*.md']}, {'Home': 'index.md'}]
    uris = ['a.md', 'z.md', 'b/c.md', 'b/a.md', 'index.md', 'd/e/f.md']
    assert module('hook').navigation(nav, uris) == [
        {'A': ['a.md', 'z.md']},
        {'B': ['b/c.md', 'b/a.md']},
        {'Home': 'index.md'},
    ]


def test_every_page_is_named_in_the_navigation() -> None:
    """The star of the first section shows a page that was forgotten; here it is an error."""
    named = re.findall(r'[\w/*.]+\.md\b', (ROOT / 'mkdocs.yml').read_text().split('\nnav:')[1])
    patterns = [re.compile(re.escape(name).replace(r'\*', '[^/]+')) for name in named if name != '*.md']
    uris = [repository.uri_of(page.relative_to(ROOT).as_posix()) for page in [*pages(), ROOT / 'CHANGELOG.md']]
    assert len(uris) > 30
    assert not [uri for uri in uris if not any(pattern.fullmatch(uri) for pattern in patterns)]


def test_formulas_are_mathml_and_bars_in_code_are_bars() -> None:
    hook = module('hook')
    page = hook.on_page_content(r'<code>a\|b</code> <span class="arithmatex">\(x_q &lt; 1\)</span>', None, None, None)
    assert re.fullmatch(r'<code>a\|b</code> <math .*display="inline".*<msub>.*</math>', page)


@cache
def package() -> object:
    """The package as mkdocstrings reads it."""
    griffe = module('griffe')
    extensions = griffe.load_extensions(str(ROOT / 'docs/site/docstrings.py'))
    return griffe.load('skeattn', search_paths=[str(ROOT)], extensions=extensions, docstring_parser='google')


def documented(obj) -> list:
    """Public objects below a module or class, in the packages of the reference, that are defined here."""
    reference = module('reference')
    found = []
    for member in obj.members.values():
        path = member.path.removeprefix('skeattn.')
        if member.is_alias or member.name.startswith('_') or path.startswith(reference.LEFT_OUT):
            continue
        found += [member, *(documented(member) if member.is_module or member.is_class else [])]
    return found


def overrides(obj) -> bool:
    """Whether a method has the docstring of a base class of the package."""
    bases = obj.parent.mro() if obj.is_function and obj.parent.is_class else []
    return any(obj.name in base.members and base.members[obj.name].docstring for base in bases)


@pytest.mark.slow
def test_every_public_object_has_a_docstring() -> None:
    """Its own, or that of the method which it overrides; attributes are explained in their class."""
    objects = [obj for obj in documented(package()) if not obj.is_attribute]
    assert len(objects) > 800
    missing = [obj.path for obj in objects if not obj.docstring and not overrides(obj)]
    assert not missing


@pytest.mark.slow
def test_docstrings_parse(caplog) -> None:
    """Args are parameters, and each entry has a name and a text."""
    with caplog.at_level('DEBUG', logger='griffe'):
        for obj in documented(package()):
            if obj.docstring:
                _ = obj.docstring.parsed
    assert not [record.getMessage() for record in caplog.records if record.levelname in ('WARNING', 'ERROR')]


class References(html.parser.HTMLParser):
    """What a page loads or leads to, and the anchors that it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads, self.links, self.anchors = [], [], {''}
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = dict(attrs)
        self.anchors |= {values[key] for key in ('id', 'name') if values.get(key)}
        if tag in ('script', 'img', 'iframe', 'source', 'link') and values.get('rel') not in (
            'prev',
            'next',
            'canonical',
        ):
            self.loads += [values[key] for key in ('src', 'href') if values.get(key)]
        elif tag == 'a' and values.get('href'):
            self.links.append(values['href'])


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_loads_nothing_from_elsewhere(tmp_path) -> None:
    module('hook')
    site = tmp_path / 'site'
    environment = {**os.environ, 'NO_MKDOCS_2_WARNING': '1'}
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '--site-dir', site]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {page: References(page) for page in site.rglob('*.html') if page.name != '404.html'}
    assert len(found) > 100
    wrong = []
    for page, references in found.items():
        assert not [url for url in references.loads if re.match(r'(\w+:)?//', url)], page
        for url in [*references.links, *references.loads]:
            name, _, anchor = unquote(url).partition('#')
            target = (page.parent / name).resolve() if name else page
            if re.match(r'(\w+:|//)', url) or anchor.startswith('__'):
                continue
            if not target.exists() or (anchor and target.suffix == '.html' and anchor not in found[target].anchors):
                wrong.append((page.relative_to(site).as_posix(), url))
    assert not wrong
