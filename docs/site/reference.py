"""The pages of the API reference: one for each package, and one for each module that stands alone."""

from functools import cache
from pathlib import Path

import repository

LEFT_OUT = ('benchmark', 'cli', 'datasets.synthetic', 'experiments', 'protocols.builtin')
"""What a user does not import."""
PACKAGE = repository.ROOT / 'skeattn'


def uri(name: str) -> str:
    """The page of a package or module, by its name within skeattn."""
    return f'reference/{name}.md'


@cache
def pages() -> dict[str, str]:
    """Uri -> Markdown, with the directives of mkdocstrings."""
    places = [*PACKAGE.glob('[!_]*.py'), *(file.parent for file in PACKAGE.glob('*/**/__init__.py'))]
    names = {'.'.join(place.relative_to(PACKAGE).with_suffix('').parts): place for place in places}
    return {uri(name): page(names[name]) for name in sorted(names) if not name.startswith(LEFT_OUT)}


def page(place: Path) -> str:
    """A module, or a package with what its modules define."""
    name = '.'.join(place.relative_to(PACKAGE.parent).with_suffix('').parts)
    title = f'# `{name}`\n\n'
    if place.suffix == '.py':
        return title + directive(name, heading_level=2)
    modules = sorted(file.stem for file in place.glob('[!_]*.py'))
    parts = (f'## `{module}`\n\n{directive(f"{name}.{module}", heading_level=3)}' for module in modules)
    return title + directive(name, members='[]') + ''.join(parts)


def directive(name: str, **options: object) -> str:
    return f'::: {name}\n    options:\n' + ''.join(f'        {key}: {value}\n' for key, value in options.items()) + '\n'
