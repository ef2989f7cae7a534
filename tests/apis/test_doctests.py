"""The examples in the docstrings of the Python interface run."""

import doctest
import importlib
import pkgutil

import pytest

from skeattn import apis
from skeattn.apis import SlidingWindow

MODULES = [f'skeattn.apis.{module.name}' for module in pkgutil.iter_modules(apis.__path__)]


@pytest.mark.parametrize('name', MODULES)
def test_examples(name, reader, encoder, recognizer, clips, labels, monkeypatch) -> None:
    monkeypatch.chdir(reader)
    module = importlib.import_module(name)
    names = {
        'encoder': encoder,
        'recognizer': recognizer,
        'clips': clips,
        'labels': labels,
        'SlidingWindow': SlidingWindow,
    }
    result = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
