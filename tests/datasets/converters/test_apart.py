"""Reading in a process of its own: what a library in C does to it is an error of the file alone."""

import io
import os
from pathlib import Path

import numpy as np
import pytest

from skeattn.datasets.converters import apart, sleap
from skeattn.datasets.converters.apart import Apart
from skeattn.errors import DataError


def double(values: np.ndarray) -> np.ndarray:
    return 2 * values


def crash(*_: object) -> None:
    os._exit(3)


def loop(*_: object) -> None:
    while True:
        pass


def allocate(size: int) -> int:
    return len(np.ones(size, np.uint8))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Apart:
    monkeypatch.setattr(apart, 'SECONDS', 1)
    monkeypatch.setattr(apart, 'MEMORY', 1 << 30)
    return Apart()


def test_the_result_of_a_function_comes_back_from_one_other_process(run: Apart) -> None:
    np.testing.assert_array_equal(run(double, np.arange(3)), [0, 2, 4])
    assert run(os.getpid) == run(os.getpid) != os.getpid()


@pytest.mark.slow
@pytest.mark.parametrize('function', [crash, loop])
def test_a_function_that_ends_or_blocks_its_process_is_an_error_and_the_next_one_runs(run: Apart, function) -> None:
    with pytest.raises(ValueError, match='reading it crashed, or took more than 1 seconds'):
        run(function)
    np.testing.assert_array_equal(run(double, np.ones(1)), [2])


def test_errors_and_too_much_memory_are_errors_of_the_call(run: Apart) -> None:
    with pytest.raises(ValueError, match='invalid literal for int'):
        run(int, 'x')
    with pytest.raises(ValueError, match='MemoryError'):
        run(allocate, 2 << 30)
    assert run(allocate, 1 << 20) == 1 << 20


def test_a_fork_has_a_process_of_its_own(run: Apart) -> None:
    first = run(os.getpid)
    child = os.fork()
    if not child:
        os._exit(0 if run(os.getpid) not in (first, os.getpid()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run(os.getpid) == first


def test_pipes_of_this_process_end_while_the_other_one_lives(run: Apart) -> None:
    """Kind: a fork holds the pipes of its parent, and who reads from one of them waits for ever."""
    reader, writer = os.pipe()
    run(os.getpid)
    os.close(writer)
    os.set_blocking(reader, False)
    assert os.read(reader, 1) == b''  # the end; BlockingIOError where anybody still holds the other side
    os.close(reader)


def test_a_file_on_which_the_library_of_hdf5_crashes_or_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind: one damaged byte in front of the heap of its strings, and libhdf5 reads for ever."""
    monkeypatch.setattr(sleap, '_arrays', crash)
    with pytest.raises(DataError, match=r'a\.h5: it is no analysis file of SLEAP.*reading it crashed'):
        sleap.read_clip([('a.h5', b'')])


def test_a_small_file_that_declares_large_arrays_is_named(tmp_path: Path) -> None:
    h5py = pytest.importorskip('h5py')
    stream = io.BytesIO()
    with h5py.File(stream, 'w') as file:
        file['node_names'] = [b'a', b'b']
        file.create_dataset('tracks', (1, 2, 2, 10**9), 'f8', chunks=(1, 2, 2, 1000))
    assert len(stream.getvalue()) < 10_000
    with pytest.raises(DataError, match=r'a\.h5: .*32,000,000,000 bytes'):
        sleap.read_clip([('a.h5', stream.getvalue())])
