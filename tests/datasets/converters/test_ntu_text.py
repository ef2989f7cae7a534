"""The text of raw NTU files: both readers agree on anything, numbers are exact, damage never escapes as a traceback."""

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skeattn.datasets.converters.bodies import BODIES, file_order
from skeattn.datasets.converters.ntu import parse
from skeattn.datasets.converters.ntu_text import by_lines, by_tokens, read_bodies
from skeattn.datasets.synthetic import write_skeleton_file
from skeattn.errors import DataError
from tests.datasets.raw import clip, skeleton_text

NAME = 'S017C002P034R001A060'
PATH = f'raw/{NAME}.skeleton'
TEXT = skeleton_text(clip(persons=2, frames=3, joints=25))


def text_of(numbers: list[str]) -> bytes:
    """One frame, one body; the coordinates begin with these numbers, further ones are 1."""
    coordinates = [*numbers, *['1'] * (75 - len(numbers))]
    joints = [' '.join(coordinates[i : i + 3]) + ' 0' * 9 for i in range(0, 75, 3)]
    return '\n'.join(['1', '1', '72057594037931367 0 1 1 1 1 0 0.01 -0.3 2', '25', *joints, '']).encode()


def same(a, b):
    assert a.num_frames == b.num_frames and a.ids == b.ids
    for field in ('frame', 'place', 'joints'):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), strict=True)


@pytest.mark.parametrize('newline', ['\n', '\r\n'])
def test_the_usual_layout_is_read_line_by_line(newline):
    text = skeleton_text(clip(persons=3, frames=5, joints=25), newline)
    found = by_lines(text)
    assert found is not None
    same(found, by_tokens(PATH, text))
    assert found.place.tolist() == [0, 1, 2] * 5


@pytest.mark.parametrize(
    'text',
    [
        TEXT[:-1],
        TEXT + b'\n',
        b'\n' + TEXT,
        TEXT.replace(b' ', b'  ', 1),
        TEXT.replace(b' ', b'\t', 1),
        TEXT.replace(b' ', b'\n', 1),
        TEXT.replace(b'\n', b' \n', 3),
    ],
)
def test_other_spacing_gives_the_same_bodies(text):
    assert by_lines(text) is None
    same(read_bodies(PATH, text), read_bodies(PATH, TEXT))


decimals = st.one_of(
    st.decimals(-9999, 9999, places=7).map(str),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: f'{x:.9g}'),
    st.floats(-1e3, 1e3).map(lambda x: f'{x:.7g}'),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r'[-+]?[0-9]{0,9}\.?[0-9]{0,9}(e[-+]?[0-9]{1,2})?', fullmatch=True),
)


@settings(max_examples=400)
@given(st.lists(decimals, min_size=1, max_size=75))
@example(['-0', '0.0', '.5', '5.', '-.5', '00012.5', '999999999999999', '0.00000000000001', '-0.1234567890123'])
@example(['1.2.3', '1', '1'])
@example(['1-2', '--1', '-', '.', '-.'])
@example(['3.5e38', '1e39', '1e-400', 'nan', 'inf', '0x10', '1_0'])
@pytest.mark.slow
def test_every_coordinate_is_what_float_makes_of_its_text(numbers):
    """To the last bit, sign of zero included; what float() or the packed format does not take is a DataError."""
    text = text_of(numbers)
    expected = [_float(number) for number in numbers]
    if not all(number and value is not None for number, value in zip(numbers, expected, strict=True)):
        with pytest.raises(DataError, match=f'{NAME}'):
            read_bodies(PATH, text)
        return
    read = read_bodies(PATH, text).joints.ravel()[: len(numbers)].tolist()
    assert struct.pack(f'{len(read)}d', *read) == struct.pack(f'{len(read)}d', *expected)


def _float(number):
    try:
        value = float(number)
    except ValueError:
        return None
    return value if abs(value) < 2.0**128 - 2.0**103 and '_' not in number else None


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=75, max_size=75))
def test_nine_digits_bring_any_float32_back(values):
    stored = file_order(read_bodies(PATH, text_of([f'{value:.9g}' for value in values])))
    assert stored.tobytes() == np.array(values, np.float32).tobytes()


@settings(max_examples=40)
@given(st.lists(st.floats(-9, -0.001) | st.floats(0.001, 9), min_size=75, max_size=75))
def test_the_seven_digits_of_a_recording_come_back_as_text(values):
    """From a millimetre to nine metres float32 tells any two numbers of seven digits apart."""
    texts = [f'{value:.7g}' for value in values]
    stored = file_order(read_bodies(PATH, text_of(texts)))
    assert [f'{value:.7g}' for value in stored.ravel().tolist()] == texts


def test_ids_are_exact_where_float64_is_not(tmp_path):
    """Two ids that a float64 takes for one stay two bodies."""
    ids = [72057594037931367, 72057594037931368]
    assert float(ids[0]) == float(ids[1])
    keypoint = clip(persons=2, frames=3, joints=25)
    write_skeleton_file(tmp_path / 'f.skeleton', keypoint, ids)
    read = read_bodies('f', (tmp_path / 'f.skeleton').read_bytes())
    assert read.ids == [str(number) for number in ids] * 3
    assert len(read.tracks()) == 2


def test_the_writer_writes_as_the_recorder_does(tmp_path):
    """17-digit ids that no float64 holds, and seven significant digits."""
    keypoint = np.full((1, 1, 25, 3), 1.23456789)
    keypoint[0, 0, 1] = 0.00123456789, 3.78554699, -0.0218115311
    write_skeleton_file(tmp_path / 'f.skeleton', keypoint)
    lines = (tmp_path / 'f.skeleton').read_text().splitlines()
    body_id = lines[2].split()[0]
    assert len(body_id) == 17 and body_id.isdigit() and int(float(body_id)) != int(body_id)
    assert lines[4].split()[:3] == ['1.234568'] * 3
    assert lines[5].split()[:3] == ['0.001234568', '3.785547', '-0.02181153']
    with pytest.raises(DataError, match='tracking ids must be integers, float64 cannot hold all digits'):
        write_skeleton_file(tmp_path / 'f.skeleton', keypoint, [72057594037931367.0])


@st.composite
def mutated(draw):
    """The text of a good file, cut, overwritten, swapped or spliced in a few places."""
    text = bytearray(TEXT)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from([0, 1, 2, 30, len(text)]))
        pieces = [
            b'\n',
            b'\r',
            b' ',
            b'-',
            b'.',
            b'1e400 ',
            b'nan',
            b'25\n',
            b'\0',
            b'\x1c',
            b'\t',
            b'\x85',
            b'_',
            b'9',
        ]
        text[at : at + length] = draw(st.one_of(st.binary(max_size=4), st.sampled_from(pieces)))
    return bytes(text)


anything = st.one_of(
    mutated(), st.binary(max_size=200), st.text('0123456789 .-e\n', max_size=200).map(str.encode), st.just(TEXT)
)


@settings(max_examples=1500)
@given(anything, st.sampled_from(sorted(BODIES)))
@pytest.mark.slow
def test_whatever_the_bytes_the_parser_answers_or_names_the_file(content, bodies):
    try:
        _, keypoint, *_ = parse(PATH, content, bodies)
    except DataError as error:
        assert NAME in str(error)
        return
    assert keypoint.dtype == np.float32 and np.isfinite(keypoint).all()
    assert keypoint.shape[0] in (1, 2) and keypoint.shape[1] >= 1 and keypoint.shape[2:] == (25, 3)


@settings(max_examples=1500)
@given(anything)
@pytest.mark.slow
def test_the_fast_reader_agrees_with_the_patient_one_or_leaves_the_text_to_it(content):
    fast = by_lines(content)
    if fast is not None:
        same(fast, by_tokens(PATH, content))


@pytest.mark.parametrize('seed', range(4))
def test_a_thousand_damaged_copies_each(seed):
    """Bytes overwritten at random, many at a time, which hypothesis does not do by itself."""
    rng = np.random.default_rng(seed)
    alphabet = np.frombuffer(b'0123456789.- \n\r\teE\0\xff', np.uint8)
    survived = 0
    for _ in range(1000):
        content = np.frombuffer(TEXT, np.uint8).copy()
        at = rng.integers(0, len(content), rng.integers(1, 6))
        content[at] = rng.choice(alphabet, len(at))
        try:
            read_bodies(PATH, content.tobytes())
            survived += 1
        except DataError as error:
            assert NAME in str(error)
    assert 0 < survived < 1000
