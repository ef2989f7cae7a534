"""Where the files of the repository are in the site, and their links rewritten to match.

The pages are written for a code host: their links name files of the repository, and some pages lie outside ``docs/``.
A path here is relative to the root of the repository, a uri relative to that of the site.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    'README.md': 'index.md',
    'CONTRIBUTING.md': 'contributing.md',
    'CHANGELOG.md': 'changelog.md',
    'SECURITY.md': 'security.md',
    'configs/*/README.md': 'methods/*.md',
    'projects/*/README.md': 'projects/*.md',
}
"""Pages outside ``docs/``: path -> uri, a name for each star."""
LANGUAGES = {'.py': 'python', '.sh': 'bash', '.toml': 'toml', '.yml': 'yaml', '.json': 'json', '.html': 'html'}
LINK = re.compile(
    r'(?P<code>^```.*?^```|`[^`\n]+`)|(?P<before>\]\()(?P<target>[^()\s]+)(?=\))', re.MULTILINE | re.DOTALL
)


def outside_pages(root: Path = ROOT) -> dict[str, str]:
    """Pages outside ``docs/``, path -> uri."""
    paths = (path.relative_to(root).as_posix() for pattern in PAGES for path in sorted(root.glob(pattern)))
    return {path: uri_of(path, root) for path in paths}


def uri_of(path: str, root: Path = ROOT) -> str:
    """The place of a file or folder in the site; what is no page becomes one below ``source/``."""
    folder = (root / path).is_dir()
    if folder and (root / path / 'README.md').is_file():
        return uri_of(posixpath.join(path, 'README.md'), root)
    for pattern, uri in PAGES.items():
        if match := re.fullmatch(re.escape(pattern).replace(r'\*', '([^/]+)'), path):
            return uri.replace('*', ''.join(match.groups()))
    if path.startswith('docs/') and not folder:
        return path.removeprefix('docs/')
    return f'source/{path}/index.md' if folder else f'source/{path}.md'


def targets(text: str, page: str) -> Iterator[str]:
    """Paths that the links of a page lead to; ``page`` is the path of the page itself."""
    for link in LINK.finditer(text):
        if link['target'] and (path := _resolve(link['target'], page)):
            yield path


def rewritten(text: str, page: str, uri: Callable[[str], str] = uri_of) -> str:
    """A page with links that are right in the site; other links, those within the page, and code stay as they are."""
    start = posixpath.dirname(uri(page))

    def rewrite(link: re.Match[str]) -> str:
        path = link['target'] and _resolve(link['target'], page)
        if not path:
            return link[0]
        anchor = link['target'].partition('#')[1:]
        return link['before'] + posixpath.relpath(uri(path), start or '.') + ''.join(anchor)

    return LINK.sub(rewrite, text)


def _resolve(target: str, page: str) -> str | None:
    """The path of a link's target, None for a link within the page or to another site."""
    name = target.partition('#')[0]
    if not name or re.match(r'\w+:', name):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), name))


def source_page(path: str, root: Path = ROOT) -> str:
    """The Markdown of a page that shows a file, or lists a folder."""
    file = root / path
    if file.is_dir():
        return f'# `{path}/`\n\n' + '\n'.join(_entry(each, root) for each in sorted(file.iterdir()))
    return f'# `{path}`\n\n``````{LANGUAGES.get(file.suffix, "text")}\n{file.read_text()}\n``````\n'


def _entry(file: Path, root: Path) -> str:
    """A line of a folder's list; files below ``docs/`` are in the site as they are, and can be opened."""
    path = file.relative_to(root).as_posix()
    if not path.startswith('docs/') or file.is_dir():
        return f'* `{file.name}`'
    start = posixpath.dirname(uri_of(posixpath.dirname(path), root))
    return f'* [`{file.name}`]({posixpath.relpath(uri_of(path, root), start)})'
