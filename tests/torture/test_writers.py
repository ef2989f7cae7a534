"""Two processes that write one file leave it whole at any time."""

import pytest

from skeattn.torture import writers
from skeattn.torture.writers import write_at_once


@pytest.mark.parametrize('writes', [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_write_is_torn_and_none_fails(tmp_path, writes) -> None:
    counts = write_at_once(tmp_path / 'file', writes)
    assert counts.pop('reads') > 0
    assert counts == {'writes': writes, 'torn': 0, 'exceptions': 0, 'files left': 0}


def test_a_writer_without_care_is_found(tmp_path, monkeypatch) -> None:
    def write(path, content) -> None:
        with open(path, 'wb', buffering=0) as file:
            content(file)

    monkeypatch.setattr(writers, 'write_atomic', write)
    assert write_at_once(tmp_path / 'file', 200)['torn'] > 0
