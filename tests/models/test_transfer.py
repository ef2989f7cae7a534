"""Tensors of any type and shape reach a device in one copy, unchanged."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.models.transfer import _in_one_copy, moved, moved_values
from tests.models.hot_path import Operations

TYPES = [torch.bool, torch.uint8, torch.int32, torch.int64, torch.bfloat16, torch.float32, torch.float64]


def tensor(dtype, shape, seed):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 100
    return values > 0 if dtype == torch.bool else values.to(dtype)


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.lists(st.integers(0, 4), max_size=3)), min_size=1, max_size=5))
def test_every_value_arrives(parts):
    tensors = [tensor(dtype, shape, seed) for seed, (dtype, shape) in enumerate(parts)]
    for x, there in zip(tensors, _in_one_copy(tensors, torch.device('cpu')), strict=True):
        assert torch.equal(x, there) and x.dtype == there.dtype


def test_repeated_rows_and_other_memory_orders_arrive():
    tensors = [torch.arange(3).expand(5, 3), torch.randn(4, 3).T, torch.randn(6, 2)[::2], torch.ones(2).expand(0, 2)]
    for x, there in zip(tensors, _in_one_copy(tensors, torch.device('cpu')), strict=True):
        assert torch.equal(x, there)


def test_one_copy_brings_all_and_leaves_what_is_there():
    there = torch.ones(2, device='meta')
    tensors = [torch.ones(3), there, torch.zeros(2, 2, dtype=torch.bool)]
    with Operations() as done:
        result = moved(tensors, torch.device('meta'))
    assert len(done.copies) == 1 and result[1] is there
    assert [(x.shape, x.dtype, x.device.type) for x in result] == [(x.shape, x.dtype, 'meta') for x in tensors]


def test_nothing_is_copied_on_the_cpu():
    x = torch.ones(3)
    assert moved([x], torch.device('cpu'))[0] is x and moved_values({'x': x}, torch.device('cpu'))['x'] is x
    assert moved([], torch.device('meta')) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_receives_the_values():
    tensors = [tensor(dtype, (5, 3), seed) for seed, dtype in enumerate(TYPES)]
    assert all(torch.equal(x, y.cpu()) for x, y in zip(tensors, moved(tensors, torch.device('cuda')), strict=True))
