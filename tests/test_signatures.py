"""What a class takes includes what it hands on, and is open only where it does more than that."""

import copy
from typing import Any

import pytest
from torch import nn

from skeattn.signatures import arguments_of


class Base:
    def __init__(self, width: int = 1, depth: int = 1) -> None:
        pass


class HandsOn(Base):
    def __init__(self, rate: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class HandsOnAll(HandsOn):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class Fixes(Base):
    def __init__(self, rate: float = 0.0, **kwargs: Any) -> None:
        super().__init__(depth=3, **kwargs)


class Inherits(HandsOn):
    pass


class Copies:
    def __init__(self, count: int, **member: Any) -> None:
        self.members = [Base(**copy.deepcopy(member)) for _ in range(count)]


class Pops(Base):
    def __init__(self, **kwargs: Any) -> None:
        self.rate = kwargs.pop('rate', 0)
        super().__init__(**kwargs)


class Keeps:
    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs


class ToNobody:
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class ToLayer(nn.Module):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(**kwargs)


def function(a: int, *, b: int = 1) -> None:
    pass


def handing(c: int, **kwargs: Any) -> None:
    function(**kwargs)


@pytest.mark.parametrize(
    ('component', 'named', 'any_other'),
    [
        (Base, {'width', 'depth'}, False),
        (HandsOn, {'rate', 'width', 'depth'}, False),
        (HandsOnAll, {'rate', 'width', 'depth'}, False),
        (Inherits, {'rate', 'width', 'depth'}, False),
        (Fixes, {'rate', 'width'}, False),
        (Copies, {'count', 'width', 'depth'}, False),
        (Pops, set(), True),
        (Keeps, set(), True),
        (ToNobody, set(), False),
        (ToLayer, {'in_features', 'out_features', 'bias', 'device', 'dtype'}, False),
        (function, {'a', 'b'}, False),
        (handing, {'a', 'b', 'c'}, False),
    ],
)
def test_what_is_handed_on_counts(component, named, any_other):
    assert arguments_of(component) == (named, any_other)


def test_a_class_without_source_takes_anything():
    namespace: dict[str, Any] = {'Base': Base}
    exec('class Own(Base):\n    def __init__(self, **kwargs):\n        super().__init__(**kwargs)', namespace)
    assert arguments_of(namespace['Own']) == (set(), True)
