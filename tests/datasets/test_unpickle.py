"""Pickles are read, never run: arrays and plain containers come through, whatever else a file names is refused."""

import copyreg
import io
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets.unpickle import load_plain
from skeattn.errors import DataError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
PLAIN = {
    'text': ['a', 'ü', b'\x00\xff', bytearray(b'xy'), b''],
    'numbers': (1, -(2**70), 0.5, True, None),
    'sets': [{1, 2}, frozenset({'a'})],
    'nested': {'a': {'b': [(), [], {}]}},
}
ARRAYS = [
    np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    np.arange(6, dtype=np.float16),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    np.arange(4, dtype='>i2'),
    np.array([True, False]),
    np.array(['wave', 'ü']),
    np.array([b'wave', b'x']),
    np.array(7),
    np.zeros((0, 25, 3), np.float32),
]
SCALARS = [np.float32(0.5), np.int64(-3), np.float16(1.5), np.str_('wave'), np.bool_(True), np.bytes_(b'ab')]


def saved(folder, content):
    path = folder / 'file.pkl'
    path.write_bytes(content)
    return path


def load(folder, value, protocol):
    return load_plain(saved(folder, pickle.dumps(value, protocol)))


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_plain_values_come_through(tmp_path, protocol):
    assert load(tmp_path, PLAIN, protocol) == PLAIN


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_arrays_and_scalars_come_through_with_type_shape_and_values(tmp_path, protocol):
    for before, after in zip(ARRAYS, load(tmp_path, ARRAYS, protocol), strict=True):
        assert (after.dtype, after.shape, type(after)) == (before.dtype, before.shape, np.ndarray)
        np.testing.assert_array_equal(after, before)
    for before, after in zip(SCALARS, load(tmp_path, SCALARS, protocol), strict=True):
        assert after == before and type(after) is type(before)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_numpys_old_and_new_module_names_are_one(tmp_path, protocol):
    """``numpy.core`` of numpy 1 is ``numpy._core`` of numpy 2; pickles of both are read by both."""
    mine, other = ('numpy.core', 'numpy._core') if np.__version__.startswith('1.') else ('numpy._core', 'numpy.core')
    own = pickle.dumps(ARRAYS[0], protocol)
    if protocol < 4:
        renamed = own.replace(mine.encode(), other.encode())
    else:  # the name's length stands before it, the frame's length before that
        name = next(arg for _, arg, _ in pickletools.genops(own) if isinstance(arg, str) and arg.startswith(mine))
        theirs = name.replace(mine, other)
        renamed = own.replace(bytes([len(name)]) + name.encode(), bytes([len(theirs)]) + theirs.encode())
        frame = struct.unpack('<Q', renamed[3:11])[0] + len(theirs) - len(name)
        renamed = renamed[:3] + struct.pack('<Q', frame) + renamed[11:]
    assert renamed != own and mine.encode() not in renamed
    for content in (own, renamed):
        np.testing.assert_array_equal(load_plain(saved(tmp_path, content)), ARRAYS[0])


def test_what_python_2_wrote_is_read(tmp_path):
    """``cPickle.dumps((['a'], numpy.array([1, 2], '<i4')), 2)``."""
    content = (
        b'\x80\x02]q\x01U\x01aq\x02acnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85q\x05'
        b'U\x01bq\x06\x87q\x07Rq\x08(K\x01K\x02\x85q\tcnumpy\ndtype\nq\nU\x02i4q\x0bK\x00K\x01\x87q\x0cRq\r(K\x03U\x01<'
        b'q\x0eNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0fb\x89U\x08\x01\x00\x00\x00\xff\x00\x00\x80q\x10tq\x11b'
        b'\x86q\x12.'
    )
    names, labels = load_plain(saved(tmp_path, content))
    assert names == ['a'] and labels.tolist() == [1, -(2**31) + 255]


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Plain:
    pass


class Slots:
    __slots__ = ('value',)


HOSTILE = {
    'system': lambda flag: Calls(os.system, f'touch {flag}'),
    'eval': lambda flag: Calls(eval, f'open({str(flag)!r}, "w")'),
    'getattr': lambda flag: Calls(getattr, 'a', 'join'),
    'import': lambda flag: Calls(__import__, 'os'),
    'open': lambda flag: Calls(open, str(flag), 'w'),
    'instance': lambda flag: Plain(),
    'slots': lambda flag: Slots(),
    'class': lambda flag: Plain,
    'numpy load': lambda flag: Calls(np.load, str(flag)),
    'numpy fromfile': lambda flag: Calls(np.memmap, str(flag), 'u1', 'w+'),
    'object array': lambda flag: np.array([Calls(os.system, f'touch {flag}')], object),
    'array of arrays': lambda flag: np.array([np.zeros(2), np.zeros(3)], object),
    'records': lambda flag: np.zeros(2, [('a', 'f4'), ('b', object)]),
    'nested in a list': lambda flag: [{'annotations': [{'keypoint': Calls(os.system, f'touch {flag}')}]}],
    'array subclass': lambda flag: np.ma.zeros(3),
    'dtype': lambda flag: np.dtype('f4'),
    'function': lambda flag: set,
    'complex': lambda flag: 1j,
    'date': lambda flag: np.array(['2020-01-01'], 'M8[D]'),
}


@pytest.mark.parametrize('protocol', PROTOCOLS[2:])
@pytest.mark.parametrize('kind', HOSTILE)
def test_whatever_else_a_pickle_names_is_refused_and_not_called(tmp_path, kind, protocol):
    flag = tmp_path / 'executed'
    with pytest.raises(DataError, match=r'file\.pkl is refused: it holds .* could run code'):
        load(tmp_path, HOSTILE[kind](flag), protocol)
    assert not flag.exists()


def test_the_refusal_names_what_the_file_names(tmp_path):
    with pytest.raises(DataError, match=r'it holds (posix|nt)\.system, and only numbers'):
        load(tmp_path, Calls(os.system, 'true'), 4)
    with pytest.raises(DataError, match=r"it holds an array of type 'O8'"):
        load(tmp_path, np.array([[], None], object), 4)


def test_names_of_the_copyreg_registry_are_refused(tmp_path):
    copyreg.add_extension('posix', 'system', 240)
    try:
        with pytest.raises(DataError, match='a name of the copyreg registry'):
            load_plain(saved(tmp_path, b'\x80\x02\x82\xf0U\x04true\x85R.'))
    finally:
        copyreg.remove_extension('posix', 'system', 240)


@pytest.mark.parametrize(
    'program',
    [
        b'cos\nsystem\n(S"true"\ntR.',
        b'(S"true"\nios\nsystem\n.',
        b'(cos\nsystem\nS"true"\no.',
        b'ccopyreg\n_reconstructor\n(cos\nerror\nc__builtin__\nobject\nNtR.',
        b'c__builtin__\neval\n(S"1"\ntR.',
        b'c__builtin__\nset.__class__\n.',
        b'\x80\x04\x8c\x08builtins\x8c\x0dset.__class__\x93.',
    ],
)
def test_every_way_to_name_something_is_closed(tmp_path, program):
    with pytest.raises(DataError, match='is refused'):
        load_plain(saved(tmp_path, program))


@pytest.mark.parametrize(
    'program',
    [
        b'c_codecs\nencode\n(S"x"\nS"rot13"\ntR.',  # another codec
        b'c__builtin__\nset\n}S"a"\nK\x01sb.',  # attributes for a function
        b'cnumpy.core.multiarray\n_reconstruct\nN}S"array"\nK\x01s\x86b.',
        b'c__builtin__\nbytes\n(J\xff\xff\xff\x7ftR.',  # 2 GB of zeros
        b'c__builtin__\nbytearray\n(J\xff\xff\xff\x7ftR.',
        b'\x80\x02]q\x00h\x00a.',  # a list that holds itself
        b'Ppersistent\n.',
        b'\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x0f.',  # sizes beyond the file's
        b'\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x0f.',
        b'\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0f.',
        b'\x80\x02Nr\xff\xff\xff\xff0h\x00.',  # a large memo
        b'(' * 100000 + b'l' * 100000 + b'.',
        b'',
        b'.',
        b'no pickle',
        pickle.dumps(np.array([0x110000], 'u4').view('U1'), 4),  # a number that is no character
    ],
)
def test_what_a_name_that_is_allowed_can_be_misused_for_is_closed(tmp_path, program):
    with pytest.raises(DataError, match=r'file\.pkl is (refused|not a pickle)'):
        load_plain(saved(tmp_path, program))


def test_an_array_whose_bytes_do_not_fit_its_shape_is_damaged(tmp_path):
    content = pickle.dumps(np.arange(6, dtype=np.int64), 2)
    assert content.count(b'K\x06\x85') == 1
    with pytest.raises(DataError, match=r'48 bytes for an array of shape \(7,\) and type int64'):
        load_plain(saved(tmp_path, content.replace(b'K\x06\x85', b'K\x07\x85')))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r'none\.pkl cannot be read'):
        load_plain(tmp_path / 'none.pkl')


@pytest.fixture(scope='module')
def contents():
    value = {'split': {'train': ['a']}, 'annotations': [{'frame_dir': 'a', 'keypoint': ARRAYS[0], 'label': SCALARS[1]}]}
    return [pickle.dumps(value, protocol) for protocol in PROTOCOLS]


@pytest.mark.slow
@settings(max_examples=300)
@given(data=st.data())
def test_no_damage_ends_in_anything_but_a_data_error(contents, tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(contents)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.sampled_from(['replace', 'insert', 'cut']))
        if change == 'replace':
            content[at] = data.draw(st.integers(0, 255))
        elif change == 'insert':
            content[at:at] = data.draw(st.binary(max_size=8))
        else:
            del content[at : at + data.draw(st.integers(1, 20))]
        content = content or bytearray(b'.')
    try:
        pickletools.dis(
            io.BytesIO(pickle.dumps(load_plain(saved(tmp_path_factory.getbasetemp(), bytes(content))))), io.StringIO()
        )
    except DataError as error:
        assert 'file.pkl' in str(error)
