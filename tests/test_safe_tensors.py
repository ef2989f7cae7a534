"""Files of tensors: what is written is read, what others write is read, and anything else is a ValueError."""

import json
import struct
import tracemalloc
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn import safe_tensors
from skeattn.checkpoint import read_checkpoint
from skeattn.errors import CheckpointError
from skeattn.safe_tensors import pack_tensors, read_facts, read_tensors

TENSORS = {
    'a.weight': torch.arange(6.0).view(2, 3).T,  # not contiguous
    'a.count': torch.tensor(7),
    'half': torch.ones(2, dtype=torch.bfloat16),
    'empty': torch.zeros(0, 4),
}
FACTS = {'method': 'SkeAttnCLR', 'config': {'mu': 0.5, 'parts': [3, 4], 'none': None}, 'name': 'é'}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope='module')
def path(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp('tensors') / 'file.safetensors'
    file.write_bytes(pack_tensors(TENSORS, FACTS))
    return file


def test_tensors_and_facts_are_read_to_the_bit(path):
    tensors, facts = read_tensors(path)
    assert facts == FACTS == read_facts(path) and tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype and torch.equal(tensors[name], value)


def test_the_format_is_that_of_everybody(path, tmp_path):
    assert torch.equal(safetensors.torch.load_file(path)['a.weight'], TENSORS['a.weight'])
    safetensors.torch.save_file({'w': torch.ones(2)}, tmp_path / 'theirs.safetensors', {'format': 'pt'})
    content = read_checkpoint(tmp_path / 'theirs.safetensors')
    assert content['meta'] == {} and content['state_dict']['w'].tolist() == [1, 1] and 'probe' not in content


def test_tensors_that_share_memory_are_apart(tmp_path):
    shared = torch.arange(4.0)
    (tmp_path / 'a.safetensors').write_bytes(
        pack_tensors({'a': shared, 'b': shared[1:3], 'c': shared.view(2, 2).T}, {})
    )
    tensors, _ = read_tensors(tmp_path / 'a.safetensors')
    assert tensors['b'].tolist() == [1, 2] and tensors['c'].tolist() == [[0, 2], [1, 3]]


@given(facts=st.dictionaries(st.text(), json_values, max_size=4))
def test_facts_survive(facts, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / 'facts.safetensors'
    file.write_bytes(pack_tensors({'w': torch.ones(1)}, facts))
    assert read_tensors(file)[1] == facts


@pytest.mark.parametrize('facts', [{'a': (1, 2)}, {1: 2}, {'a': float('nan')}])
def test_facts_that_json_would_change_are_refused(facts):
    with pytest.raises(ValueError, match='its facts are not values of JSON'):
        pack_tensors({}, facts)


@given(data=st.data())
def test_a_changed_file_is_a_value_error_or_other_numbers(path, tmp_path_factory, data):
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / 'changed.safetensors'
    file.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    try:
        tensors, facts = read_tensors(file)
    except ValueError:
        return
    assert isinstance(facts, dict) and all(isinstance(value, torch.Tensor) for value in tensors.values())


def header(text: bytes, data: bytes = b'') -> bytes:
    return struct.pack('<Q', len(text)) + text + data


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'ends within its header'),
        (struct.pack('<Q', 1 << 60), 'its header claims 1,152,921,504,606,846,976 bytes'),
        (header(b'[]'), 'holds no facts by name'),
        (header(b'{"__metadata__": 3}'), 'holds no facts by name'),
        (header(b'{"__metadata__": {"skeattn": "[]"}}'), 'holds no facts by name'),
        (header(b'{"__metadata__": {"skeattn": "' + b'[' * 99999 + b'"}}'), 'nested too deeply'),
        (header(b'{"w": {"dtype": "F32", "shape": [1099511627776], "data_offsets": [0, 4]}}', b'1234'), None),
        (header(b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}', b'12345678'), None),
        (header(b'{"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}', b'1234'), None),
        (header(b'{"w": {"dtype": "PY", "shape": [1], "data_offsets": [0, 4]}}', b'1234'), None),
        (b'\x80\x04cos\nsystem\n(S"true"\ntR.', 'its header claims'),
    ],
)
def test_hostile_files_are_one_line_and_take_no_memory(content, reason, tmp_path):
    file = tmp_path / 'file.safetensors'
    file.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=reason) as error:
        read_checkpoint(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 25 and '\n' not in str(error.value) and str(error.value).startswith(f'{file} is damaged: ')


def test_limits(path, tmp_path, monkeypatch):
    monkeypatch.setattr(safe_tensors, 'LONGEST_HEADER', 10)
    for read in (read_tensors, read_facts):
        with pytest.raises(ValueError, match='and no more than 10 are read'):
            read(path)
    monkeypatch.setattr(safe_tensors, 'LARGEST', 20)
    with pytest.raises(ValueError, match='and no more than 20 are read'):
        read_tensors(path)


def test_a_file_without_tensors_is_no_checkpoint(tmp_path):
    (tmp_path / 'a.safetensors').write_bytes(header(json.dumps({}).encode()))
    with pytest.raises(CheckpointError, match='holds no tensors'):
        read_checkpoint(tmp_path / 'a.safetensors')
