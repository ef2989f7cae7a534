"""The hook of mkdocs.yml: pages outside ``docs/``, API reference, sources that pages link to, and the navigation."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import house
import latex2mathml.converter
import reference
import repository
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

log = logging.getLogger('mkdocs.hooks.site')
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
KNOWN = {'{aligned}': '{align*}', r'\arg': r'\operatorname{arg}'}
"""LaTeX -> the same as latex2mathml knows it."""
CODE = re.compile(r'<code>[^<]*</code>')
paths: dict[str, str] = {}
"""Pages of the present build that are files of the repository, uri -> path."""


def on_config(config: MkDocsConfig) -> None:
    """Headings get the anchors that a code host gives them."""
    config.mdx_configs['toc'] = {**config.mdx_configs.get('toc', {}), 'slugify': anchor}


def anchor(heading: str, separator: str) -> str:
    return re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', separator)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that ``docs/`` lacks, and write the navigation."""
    paths.clear()
    paths.update({file.src_uri: f'docs/{file.src_uri}' for file in files.documentation_pages()})
    for path, uri in repository.outside_pages().items():
        files.append(File.generated(config, uri, abs_src_path=str(repository.ROOT / path)))
        paths[uri] = path
    for uri, text in reference.pages().items():
        files.append(File.generated(config, uri, content=text))
    texts = {path: (repository.ROOT / path).read_text() for path in paths.values()}
    linked = {target for path, text in texts.items() for target in repository.targets(text, path)}
    for path in sorted(linked):
        uri = repository.uri_of(path)
        if uri.startswith('source/') and (repository.ROOT / path).exists():
            files.append(
                File.generated(config, uri, content=repository.source_page(path), inclusion=InclusionLevel.NOT_IN_NAV)
            )
    config.nav = navigation(config.nav, [file.src_uri for file in files.documentation_pages()])


def navigation(nav: list[Any], uris: list[str]) -> list[Any]:
    """A navigation whose entries are patterns, with the pages that match; a page named elsewhere matches no star."""
    named = set(named_in(nav))

    def pages(pattern: str) -> list[str]:
        form = re.compile(re.escape(pattern).replace(r'\*', '[^/]+'))
        return [uri for uri in sorted(uris) if form.fullmatch(uri) and (uri == pattern or uri not in named)]

    def expanded(entries: list[Any]) -> Iterator[Any]:
        for entry in entries:
            if isinstance(entry, str):
                yield from pages(entry)
                continue
            ((title, value),) = entry.items()
            found = list(expanded(value)) if isinstance(value, list) else [{title: uri} for uri in pages(value)]
            if isinstance(value, list) and found:
                yield {title: found}
            else:
                yield from found

    return list(expanded(nav))


def named_in(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from named_in(value) if isinstance(value, list) else [value]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files become links between pages, and the house is drawn."""
    path = paths.get(page.file.src_uri)
    return house.drawn(repository.rewritten(markdown, path), page.file.src_uri) if path else markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as MathML, which browsers show without a script; bars in code without the escape that tables need."""
    html = CODE.sub(lambda code: code[0].replace(r'\|', '|'), html)
    return MATH.sub(lambda match: formula(match[2], 'block' if match[1] == 'div' else 'inline'), html)


def formula(latex: str, display: str) -> str:
    """LaTeX as MathML; what the converter left as it was is a warning."""
    plain = latex.replace('&amp;', '&').replace('&lt;', '<').replace('&gt;', '>')
    for name, known in KNOWN.items():
        plain = plain.replace(name, known)
    mathml = latex2mathml.converter.convert(plain.strip(), display=display)
    if rest := re.search(r'\\\w*|&(?!#?\w+;)', mathml):
        log.warning('a formula has %s, which latex2mathml does not know: %s', rest[0], plain)
    return mathml
