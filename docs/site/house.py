"""The picture of the package: floors and rooms, drawn from the plain text of docs/architecture.md."""

import re
from html import escape

import reference
import repository

PICTURE = re.compile(r'(?<=\n## Floors\n)(.*?)^```\n(.*?)^```\n', re.MULTILINE | re.DOTALL)
MARK = '<!-- the house -->'
"""On other pages, where the picture goes; a code host shows nothing there."""


def drawn(markdown: str, uri: str) -> str:
    """A page with the house in place of its plain text, and of the mark."""
    markdown = PICTURE.sub(lambda found: found[1] + house(found[2], uri), markdown)
    return markdown.replace(MARK, house(plain(), uri)) if MARK in markdown else markdown


def plain() -> str:
    """The floors as the page on the architecture writes them."""
    found = PICTURE.search((repository.ROOT / 'docs/architecture.md').read_text())
    return found[2] if found else ''


def house(text: str, uri: str) -> str:
    """HTML of a picture, from the top floor down; its lines are ``room · room   what one has | what the other has``."""
    up = '../' * uri.count('/')
    floors = [floor(*re.split(r' {2,}', line.strip(), maxsplit=1), up) for line in text.splitlines() if line.strip()]
    return '<div class="house">' + ''.join(floors) + '</div>\n'


def floor(names: str, meaning: str, up: str) -> str:
    """One floor: each room with its meaning, or one meaning for all."""
    rooms, meanings = names.split(' · '), meaning.split(' | ')
    shared = len(meanings) != len(rooms)
    boxes = [room(name, '' if shared else meanings[i], up) for i, name in enumerate(rooms)]
    return f'<div class="floor">{"".join(boxes)}{f"<p>{escape(meaning)}</p>" if shared else ""}</div>'


def room(name: str, meaning: str, up: str) -> str:
    title = f'<code>{escape(name)}</code>'
    if reference.uri(name) in reference.pages():
        title = f'<a href="{up}{reference.uri(name).replace(".md", ".html")}">{title}</a>'
    return f'<div class="room">{title}{f"<p>{escape(meaning)}</p>" if meaning else ""}</div>'
