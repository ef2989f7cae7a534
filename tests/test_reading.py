"""Sizes that files declare are checked before memory is taken; whatever is wrong is a ValueError."""

import io
import json
import multiprocessing
import resource
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skeattn import reading
from skeattn.checkpoint import read_checkpoint
from skeattn.datasets import PackedSet, converters
from skeattn.datasets.packed import SAMPLES
from skeattn.errors import CheckpointError, DataError
from skeattn.evaluation.result import Scores
from skeattn.reading import parse_array, parse_json, read_arrays
from skeattn.results.score_file import ScoreFile
from tests.datasets.raw import write_set

LIMIT = 3 << 28
"""Bytes that a reader may take beyond what the packages took."""
BOMB = 1 << 30


def limited(work: Callable[..., Any], *arguments: Any) -> str:
    """The error of ``work`` in a process of limited memory; ``'MemoryError: …'`` where it took more."""
    receiver, sender = multiprocessing.get_context('fork').Pipe(duplex=False)
    process = multiprocessing.get_context('fork').Process(target=_limited, args=(sender, work, *arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return 'killed'
    finally:
        process.join()


def _limited(sender: Any, work: Callable[..., Any], *arguments: Any) -> None:
    taken = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + LIMIT, resource.RLIM_INFINITY))
    try:
        work(*arguments)
    except Exception as error:
        sender.send(f'{type(error).__name__}: {error}')
    else:
        sender.send('')


def write_bomb(path: Path, member: str, head: bytes = b'', size: int = BOMB) -> Path:
    """An archive of a few megabytes, a member of which unpacks to gigabytes of zeros after a beginning."""
    opened = zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1)
    with opened as archive, archive.open(member, 'w', force_zip64=True) as file:
        file.write(head)
        block = bytes(1 << 22)
        for _ in range(size // len(block)):
            file.write(block)
    assert path.stat().st_size < size // 50
    return path


def header(shape: tuple[int, ...], dtype: str = '<f4') -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {'descr': dtype, 'fortran_order': False, 'shape': shape})
    return file.getvalue()


@pytest.mark.slow
def test_a_zip_bomb_among_raw_files_is_refused_unread(tmp_path) -> None:
    """Kind: a size that an archive declares. A file of two megabytes took four gigabytes."""
    path = write_bomb(tmp_path / 'raw.zip', 'a01_s01_e00_v01.json')
    error = limited(converters.nwucla.convert, path, tmp_path / 'out')
    assert error.startswith('DataError') and '1,073,741,824 bytes, and no more than 268,435,456 are read' in error


@pytest.mark.slow
def test_a_zip_bomb_as_checkpoint_scores_or_arrays_is_refused_unread(tmp_path) -> None:
    for read, error in ((read_checkpoint, 'CheckpointError'), (ScoreFile.read, 'DataError')):
        path = write_bomb(tmp_path / 'file', 'test_scores.npy', header((BOMB // 4,)))
        found = limited(read, path)
        assert found.startswith(error) and 'more than the' in found, found
    path = write_bomb(tmp_path / 'data.npz', 'y_train.npy', header((1, BOMB // 4)))
    found = limited(converters.ctrgcn.convert, path, tmp_path / 'out')
    assert found.startswith('DataError') and 'y_train: it has 1,073,741,824 bytes' in found, found


def test_samples_of_another_shape_than_the_manifest_names_are_refused_unread(tmp_path) -> None:
    data = write_set(tmp_path / 'set')
    write_bomb(data / SAMPLES, 'name.npy', header((BOMB // 4,)), 1 << 28)
    tracemalloc.start()
    with pytest.raises(DataError, match=r'samples\.npz is damaged \(name has the shape \(268435456,\), not \(6,\)\)'):
        PackedSet.open(data)
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


@pytest.mark.parametrize('shape', [(10**12,), (2**62, 4), (0, 10**15), (5,)])
def test_a_header_of_another_size_than_its_bytes_is_refused(shape) -> None:
    """Kind: a shape that a header declares; memory for it was asked for before a byte was read."""
    with pytest.raises(ValueError, match=r'has [\d,]+ bytes, and there are 8'):
        parse_array(header(shape) + bytes(8))


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('number', [0x110000, 0xD800, 0xDFFF, 0xFFFFFFFF])
def test_texts_of_numbers_that_are_no_characters_are_refused(number: int, order: str) -> None:
    """Kind: numpy makes strings of them, which break where they are printed, sent or compared."""
    content = np.array([['ab', 'c\U0010ffff']], f'{order}U2')
    np.testing.assert_array_equal(parse_array(saved(content)), content)
    content.view(f'{order}u4')[0, 1] = number
    with pytest.raises(ValueError, match='a text holds numbers that are no characters'):
        parse_array(saved(content))


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_python_objects_are_refused() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object))
    with pytest.raises(ValueError, match='could run code'):
        parse_array(file.getvalue())


SHAPES = arrays.array_shapes(min_dims=0, min_side=0)


@given(arrays.arrays(st.sampled_from(['<f4', '>f8', 'i8', '?', 'U5', 'u1']), SHAPES), st.booleans())
def test_arrays_are_read_as_numpy_reads_them(array, fortran) -> None:
    file = io.BytesIO()
    np.save(file, np.asfortranarray(array) if fortran and array.ndim else array)
    read, expected = parse_array(file.getvalue()), np.load(io.BytesIO(file.getvalue()))
    assert (read.dtype, read.shape, read.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())
    assert read.flags.writeable


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_an_archive_of_arrays_is_read_by_name_and_shape(tmp_path, save) -> None:
    save(tmp_path / 'a.npz', x=np.arange(3), y=np.ones((2, 2)))
    found = read_arrays(tmp_path / 'a.npz', {'x': (3,)})
    assert list(found) == ['x'] and found['x'].tolist() == [0, 1, 2]
    for shapes, message in (({'z': (1,)}, 'no array z'), ({'x': (4,)}, r'shape \(3,\), not \(4,\)')):
        with pytest.raises(ValueError, match=message):
            read_arrays(tmp_path / 'a.npz', shapes)
    assert set(read_arrays(tmp_path / 'a.npz')) == {'x', 'y'}


def test_a_long_text_is_refused(tmp_path) -> None:
    np.savez(tmp_path / 'a.npz', name=np.array(['x' * 5000]))
    with pytest.raises(ValueError, match='texts of 20000 bytes'):
        read_arrays(tmp_path / 'a.npz', {'name': (1,)})


def test_bytes_without_a_type_are_refused(tmp_path) -> None:
    """Compressed, a gigabyte of them has a megabyte."""
    np.savez_compressed(tmp_path / 'a.npz', a=np.zeros(1, 'V100000000'))
    with pytest.raises(ValueError, match='neither numbers nor texts'):
        read_arrays(tmp_path / 'a.npz', {'a': (1,)})


def test_members_of_an_archive_that_share_their_bytes_are_refused(tmp_path) -> None:
    """A bomb without compression: every name of its directory leads to the same bytes."""
    path = tmp_path / 'a.pth'
    torch.save({'w': torch.zeros(1000)}, path)
    with zipfile.ZipFile(path, 'a') as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
        archive.filelist += [largest] * 100
        archive._didModify = True
    with pytest.raises(CheckpointError, match=r'its parts claim [\d,]+ bytes, more than the [\d,]+ of the file'):
        read_checkpoint(path)


@pytest.mark.parametrize('text', ['[' * 100_000, '{"a":' * 100_000, '[1', b'\xff', '1' * 10_000])
def test_json_that_is_none_or_too_deep_is_a_value_error(text) -> None:
    with pytest.raises(ValueError, match=r'.'):
        parse_json(text)


def test_json_with_a_mark_is_read() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": [1]}') == {'a': [1]}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
@pytest.mark.slow
def test_json_is_read_as_it_was_written(value) -> None:
    assert parse_json(json.dumps(value)) == value


def test_a_file_that_is_too_large_is_named_with_its_size(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(reading.check_size, '__defaults__', (100,))
    (tmp_path / 'a01_s01_e00_v01.json').write_text('[' + ' ' * 200 + ']')
    with pytest.raises(DataError, match=r'_v01\.json: cannot be read \(it has 202 bytes, and no more than 100'):
        converters.nwucla.convert(tmp_path, tmp_path / 'out', jobs=1)


def test_class_scores_of_a_torn_archive_are_named(tmp_path) -> None:
    scores = Scores(torch.ones(2, 3), torch.tensor([0, 1]), ['a', 'b'])
    ScoreFile(scores, None, ['x', 'y', 'z'], {}).write(tmp_path / 's.npz')
    content = (tmp_path / 's.npz').read_bytes()
    (tmp_path / 's.npz').write_bytes(content.replace(b"'descr'", b"'de(cr'", 1))
    with pytest.raises(DataError, match=r's\.npz is not an intact score file'):
        ScoreFile.read(tmp_path / 's.npz')
