"""Weights as safetensors: the same bytes for the same content, the order of facts, and damaged files refused."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from skeattn.checkpoint import read_checkpoint
from skeattn.errors import CheckpointError
from skeattn.weights_file import read_weights, write_weights

META = {'method': 'SkeAttnCLR', 'config': {'dataset': {'pipeline': {'resample': {'num_frames': 16}, 'centre': {}}}}}
STATE = {'b': torch.arange(6.0).reshape(2, 3), 'a': torch.tensor(3)}


def test_the_same_content_gives_the_same_bytes_whatever_the_memory_is(tmp_path) -> None:
    write_weights(tmp_path / 'a.safetensors', STATE, META)
    other = {'a': STATE['a'].clone(), 'b': STATE['b'].T.contiguous().T}
    write_weights(tmp_path / 'b.safetensors', other, META)
    assert (tmp_path / 'a.safetensors').read_bytes() == (tmp_path / 'b.safetensors').read_bytes()
    write_weights(tmp_path / 'c.safetensors', {**STATE, 'a': torch.tensor(4)}, META)
    assert (tmp_path / 'c.safetensors').read_bytes() != (tmp_path / 'b.safetensors').read_bytes()


def test_tensors_that_share_memory_are_written_and_read_as_checkpoints_are(tmp_path) -> None:
    shared = torch.randn(3)
    write_weights(tmp_path / 'a.safetensors', {'x': shared, 'y': shared, 'z': shared[:1]}, META)
    found = read_checkpoint(tmp_path / 'a.safetensors')
    assert found['meta'] == META and all(found['state_dict'][key].equal(shared) for key in 'xy')
    assert list(found['meta']['config']['dataset']['pipeline']) == ['resample', 'centre']


PLAIN = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text()


@given(meta=st.dictionaries(st.text(), st.recursive(PLAIN, st.lists) | st.dictionaries(st.text(), PLAIN)))
def test_facts_are_read_as_written_in_their_order(meta, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp('facts') / 'a.safetensors'
    write_weights(path, STATE, meta)
    assert json.dumps(read_weights(path)['meta']) == json.dumps(meta)


def test_a_foreign_file_has_no_facts(tmp_path) -> None:
    save_file(STATE, tmp_path / 'a.safetensors', {'format': 'pt'})
    assert read_weights(tmp_path / 'a.safetensors')['meta'] == {}


@pytest.mark.parametrize('length', [0, 7, 40, -1])
def test_a_truncated_file_is_refused(tmp_path, length) -> None:
    path = tmp_path / 'a.safetensors'
    write_weights(path, STATE, META)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r'a\.safetensors is damaged .*; fetch or publish it again'):
        read_weights(path)


@pytest.mark.parametrize('text', ['[1]', 'no JSON', '[' * 100_000])
def test_facts_that_are_none_are_refused(tmp_path, text) -> None:
    save_file(STATE, tmp_path / 'a.safetensors', {'skeattn': text})
    with pytest.raises(CheckpointError, match=r'a\.safetensors'):
        read_weights(tmp_path / 'a.safetensors')
