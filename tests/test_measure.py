import time

import numpy as np
import pytest

from skeattn.errors import DataError
from skeattn.measure import measure

# Every piece of work starts an interpreter.
pytestmark = pytest.mark.slow


def hold(megabytes: int, seconds: float) -> int:
    held = np.ones(megabytes * 125_000)
    time.sleep(seconds)
    return len(held)


def leave() -> None:
    raise SystemExit(3)


def test_memory_time_and_result_of_the_work_alone() -> None:
    small, large = (measure(hold, megabytes, 0.2) for megabytes in (1, 301))
    assert (small['result'], large['result']) == (125_000, 301 * 125_000)
    assert 0.9 * 300e6 < large['peak_bytes'] - small['peak_bytes'] < 1.2 * 300e6
    assert small['seconds'] >= 0.2


def test_work_without_a_result_is_named() -> None:
    with pytest.raises(DataError, match=r'ended without a result, see above \(leave\)'):
        measure(leave)
