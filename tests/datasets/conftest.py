"""The real archives, packed once for the tests that look at them."""

import pytest

from skeattn.datasets import PackedSet
from skeattn.datasets.converters import nwucla, utdmhad
from tests.conftest import shared_path


@pytest.fixture(scope='session')
def ucla(tmp_path_factory) -> PackedSet:
    out = tmp_path_factory.mktemp('real') / 'nwucla'
    nwucla.convert(shared_path('data/nw_ucla.zip'), out)
    return PackedSet.open(out)


@pytest.fixture(scope='session')
def mhad(tmp_path_factory) -> PackedSet:
    out = tmp_path_factory.mktemp('real') / 'utdmhad'
    utdmhad.convert(shared_path('data/utd_mhad.zip'), out)
    return PackedSet.open(out)
