"""Where a key of a config was written: an override, or a line of the file or of one of its bases."""

import ast
import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from mmengine.config import Config

from skeattn.engine.bases import base_path

Labels = tuple[str, ...]


class Stated(NamedTuple):
    """Position of a key in the files of a config.

    Args:
        file: the config file.
        line: line number; None if unknown, as in JSON.
        listed_in: the file whose ``_base_`` lists this one; None for the config itself.
    """

    file: str
    line: int | None
    listed_in: str | None

    def __str__(self) -> str:
        return self.file if self.line is None else f'{self.file}, line {self.line}'


class Origin:
    """Sources of the keys of a config. Files are searched on demand.

    Args:
        path: the config file; None for a config built in Python.
        options: overrides by dotted key.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, options: Mapping[str, Any] | None = None) -> None:
        self.path = None if path is None else os.fspath(path)
        self.options = options or {}

    def __call__(self, place: str) -> str:
        """The beginning of a message on the key at a place, such as ``configs/own.py, line 3: ``."""
        if option := self.option(place):
            return f'--cfg-options {option}: '
        stated = self.stated(place)
        return f'{stated}: ' if stated else ''

    def stated(self, place: str) -> Stated | None:
        """The file and line that match most of a place, the config before its bases; None without a file."""
        target = _labels(place)
        best, most = None, 0
        for file, listed_in in self.files:
            for labels, line in _stated_in(file):
                if len(target) == 1 and len(labels) > 1:
                    continue
                shared = _common_end(labels, target)
                if shared > most:
                    best, most = Stated(file, line, listed_in), shared
        if best is None and self.path is not None:
            return Stated(self.path, None, None)
        return best

    def last_word(self, *places: str) -> str:
        """The key that the config sets; otherwise that of the first base that sets one; otherwise the first key."""
        targets = {_labels(place): place for place in places}
        for file, _ in self.files:
            written = {labels for labels, _ in _stated_in(file)}
            for labels, place in targets.items():
                if any(other[-len(labels) :] == labels for other in written):
                    return place
        return places[0]

    @cached_property
    def files(self) -> list[tuple[str, str | None]]:
        """The config file and its bases, each after the file that lists it."""
        return [] if self.path is None else list(_with_bases(self.path, None))

    def option(self, place: str) -> str | None:
        """The override that set the value at a place, or a part of it."""
        place = re.sub(r'\[\d+\]', '', place)  # of an item of a list
        for key in self.options:
            if f'{place}.'.startswith(f'{key}.') or key.startswith(f'{place}.'):
                return key
        return None


def _with_bases(file: str, listed_in: str | None) -> Iterator[tuple[str, str | None]]:
    yield file, listed_in
    for base in bases_of(file):
        yield from _with_bases(base, file)


def bases_of(file: str) -> list[str]:
    """The files that a config file lists as ``_base_``."""
    return [os.path.normpath(base_path(base, file)[0]) for base in Config._get_base_files(file)]


def _labels(place: str) -> Labels:
    return tuple(label for label in re.split(r'[.\[\]]+', place) if label and not label.isdigit())


def _common_end(labels: Labels, others: Labels) -> int:
    pairs = zip(reversed(labels), reversed(others), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _stated_in(file: str) -> Iterator[tuple[Labels, int]]:
    """Every key that a Python file writes, as the keys above it and itself, and its line."""
    with contextlib.suppress(OSError, SyntaxError, ValueError), open(file, encoding='utf-8') as text:
        yield from _keys(ast.parse(text.read()), ())


def _keys(node: ast.AST, above: Labels) -> Iterator[tuple[Labels, int]]:
    named: list[tuple[str, ast.AST, int]] = []
    if isinstance(node, ast.Assign):
        named = [(target.id, node.value, node.lineno) for target in node.targets if isinstance(target, ast.Name)]
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        named = [(str(key.value), value, key.lineno) for key, value in pairs if isinstance(key, ast.Constant)]
    elif isinstance(node, ast.keyword) and node.arg is not None:
        named = [(node.arg, node.value, node.lineno)]
    for name, value, line in named:
        yield (*above, name), line
        yield from _keys(value, (*above, name))
    values = [value for _, value, _ in named]
    for child in ast.iter_child_nodes(node):
        if child not in values:
            yield from _keys(child, above)
