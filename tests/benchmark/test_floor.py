"""The floor of a call, by hand."""

import pytest
import torch
from torch.nn.functional import conv2d

from skeattn.benchmark.floor import ListOperations, Operation, floor, seconds_at_least
from skeattn.benchmark.work import count

CEILINGS = {'copy': 10.0, 'matmul_float32': 100.0, 'convolution_float32': 50.0}
CEILINGS |= {'matmul_bfloat16': 150.0, 'convolution_bfloat16': 200.0}


@pytest.mark.parametrize(
    ('operation', 'seconds'),
    [
        (Operation('add', 0, 5_000_000_000), 0.5),
        (Operation('mm', 100_000_000_000, 1_000_000_000), 1.0),
        (Operation('mm', 100_000_000_000, 1_000_000_000, 'bfloat16'), 0.5),
        (Operation('mm', 100_000_000_000, 20_000_000_000), 2.0),
    ],
)
def test_an_operation_takes_the_larger_of_moving_and_computing(operation, seconds):
    assert seconds_at_least(operation, CEILINGS) == pytest.approx(seconds)


def test_the_floor_is_the_sum():
    listed = [Operation('mm', 10**11, 10**9), Operation('add', 0, 5 * 10**9), Operation('add', 0, 10**9)]
    found = floor(listed, CEILINGS)
    dearest = found.pop('dearest')
    assert found == pytest.approx(
        dict(floor_ms=1600, computing_ms=1000, moving_ms=600, flops=10**11, bytes=7 * 10**9, operations=3)
    )
    assert [(row['name'], row['calls'], row['ms']) for row in dearest] == [
        ('mm', 1, pytest.approx(1000)),
        ('add', 2, pytest.approx(600)),
    ]


def listed(run, device='cpu'):
    operations = ListOperations(device)
    with operations:
        run()
    return operations.found


def test_operations_with_bytes_flops_and_precision():
    a, b = torch.randn(2, 3), torch.randn(3, 4)
    half = a.bfloat16(), b.bfloat16()
    assert listed(lambda: a @ b) == [Operation('mm', 2 * 2 * 3 * 4, 4 * (6 + 12 + 8))]
    assert listed(lambda: half[0] @ half[1]) == [Operation('mm', 48, 2 * (6 + 12 + 8), 'bfloat16')]
    assert listed(lambda: a.add_(1)) == [Operation('add_', 0, 4 * 12)]
    assert listed(lambda: a.t().view(-1, 2)) == []
    assert listed(lambda: a @ b, 'cuda') == []


def test_chosen_rows_count_not_the_whole_tensor():
    bank, rows = torch.zeros(1000, 4), torch.tensor([3, 5])
    values = torch.ones(2, 4)
    assert [o.moved for o in listed(lambda: bank[rows])] == [16 + 2 * 32]
    assert [o.moved for o in listed(lambda: bank.index_copy_(0, rows, values))] == [2 * (16 + 32)]


def test_flops_equal_those_of_torch_in_both_passes():
    x, weight = torch.randn(2, 3, 5, 5, requires_grad=True), torch.randn(4, 3, 3, 3, requires_grad=True)

    def run():
        conv2d(x, weight).sum().backward()

    assert sum(o.flops for o in listed(run)) == count(run).flops > 0
