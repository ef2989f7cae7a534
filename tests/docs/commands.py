"""The commands that a page tells its reader to type."""

import re
import shlex
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

from tests.conftest import ROOT

FENCE = re.compile(r'^```(\w*)[^\n]*\n(.*?)^```', re.MULTILINE | re.DOTALL)
SPAN = re.compile(r'(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)')
COMMAND = re.compile(r'([A-Z_]+=\S+ )*((python|bash|pip) \S|tools/\S+\.(py|sh) |skeattn \w)')
OPTION = re.compile(r'--\w')
SHELL = ('', 'bash', 'console', 'sh', 'shell')


def pages() -> list[Path]:
    """What a reader may type from; the changelog also names what is no more."""
    found = [
        *ROOT.glob('*.md'),
        *ROOT.glob('docs/**/*.md'),
        *ROOT.glob('configs/*/*.md'),
        *ROOT.glob('projects/*/*.md'),
    ]
    return sorted(page for page in found if page.name != 'CHANGELOG.md')


def commands(text: str) -> Iterator[tuple[int, str]]:
    """Commands of a Markdown page with their line numbers; from running text options, too, with what follows them."""
    lines: list[tuple[int, str]] = []

    def blank(block: re.Match[str]) -> str:
        if block[1] in SHELL:
            first = text.count('\n', 0, block.start()) + 2
            lines.extend(enumerate(block[2].splitlines(), first))
        return '\n' * block[0].count('\n')

    prose = FENCE.sub(blank, text)
    lines.extend((n, line) for n, line in enumerate(prose.splitlines(), 1) if line.startswith('    '))
    yield from ((number, line) for number, line in joined(lines) if COMMAND.match(line))
    for span in SPAN.finditer(prose):
        code = ' '.join(span[1].replace(r'\|', '|').split())
        if COMMAND.match(code) or OPTION.match(code):
            yield prose.count('\n', 0, span.start()) + 1, code


def joined(lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines with those that continue them, without comments."""
    rest = ''
    for number, line in sorted(lines):
        line = rest + re.sub(r'(^|\s+)# .*', '', line).strip()
        rest = f'{line[:-1].strip()} ' if line.endswith('\\') else ''
        if not rest:
            yield number, ' '.join(line.split())


def words(command: str) -> list[str]:
    """A command as a shell splits it: optional parts are given, ``…`` for more of the same is not."""
    given = re.sub(r'\[(--[^]]*)\]', r'\1', command)
    return [word for word in (word.strip('…') for word in shlex.split(given)) if word]


def call(command: str) -> list[str]:
    """Program and arguments, without the environment variables and the interpreter before them."""
    first, *rest = dropwhile(re.compile('[A-Z_]+=').match, words(command))
    return rest if first in ('python', 'bash') else [first, *rest]
