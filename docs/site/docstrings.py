"""Docstrings in the form that griffe's Google parser and Markdown read: named tuples, shared lines, roles."""

import re

import griffe

SHARED = re.compile(r'^( +)((?:\w+, )+\w+)(?=: )', re.MULTILINE)
ROLE = re.compile(r':\w+:`~?([\w.]+)`')
CODE = re.compile(r'``([^`]+)``')


class Docstrings(griffe.Extension):
    """For the ``extensions`` of mkdocstrings."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Adapt the docstring of any object."""
        if obj.docstring:
            obj.docstring.value = adapted(obj.docstring.value, obj)


def adapted(text: str, obj: griffe.Object) -> str:
    """A docstring whose parameters have a line each, with links in place of roles."""
    if obj.is_class and any(str(base).endswith('NamedTuple') for base in obj.bases):
        text = re.sub(r'^Args:', 'Attributes:', text, flags=re.MULTILINE)
    text = SHARED.sub(lambda shared: own_lines(shared, text), text)
    return ROLE.sub(lambda role: reference(role, obj), CODE.sub(r'`\1`', text))


def own_lines(shared: re.Match[str], text: str) -> str:
    """``a, b: text`` as ``a: see b`` and ``b: text``, so that each parameter has its line."""
    *first, last = shared[2].split(', ')
    return ''.join(f'{shared[1]}{name}: see `{last}`.\n' for name in first) + shared[1] + last


def reference(role: re.Match[str], obj: griffe.Object) -> str:
    """A name as code, which leads to the object where a page has it."""
    first, *rest = role[1].split('.')
    try:
        path = '.'.join([obj.resolve(first), *rest])
    except griffe.NameResolutionError:
        path = role[1]
    name = role[1] if '~' not in role[0] else role[1].rpartition('.')[2]
    return f'<autoref optional identifier="{path}">`{name}`</autoref>'
