"""Busy share, longest kernels and gaps of intervals given by hand."""

import pytest

from skeattn.benchmark.kernels import Kernel, kernels_of_trace, summary


def test_overlapping_kernels_count_once_and_gaps_have_neighbours():
    kernels = [
        Kernel('a', 0, 10),
        Kernel('b', 5, 8),  # within a, on another stream
        Kernel('c', 10, 20),
        Kernel('a', 50, 60),
        Kernel('c', 55, 70),
        Kernel('a', 80, 100),
    ]
    found = summary(kernels, calls=2)
    assert found['busy_share'] == pytest.approx(60 / 100)
    assert (found['busy_ms'], found['wall_ms'], found['kernels']) == pytest.approx((0.03, 0.05, 3))
    assert [(k['name'], k['ms'], k['calls']) for k in found['longest']] == [
        ('a', pytest.approx(0.02), 1.5),
        ('c', pytest.approx(0.0125), 1),
        ('b', pytest.approx(0.0015), 0.5),
    ]
    assert found['gaps'] == [{'before': 'c', 'after': 'a', 'ms': pytest.approx(0.02), 'calls': 1}]


def test_only_the_dearest_are_listed():
    kernels = [Kernel(f'k{i}', 100 * i, 100 * i + i + 1) for i in range(30)]
    found = summary(kernels, most=10)
    assert [k['name'] for k in found['longest']] == [f'k{i}' for i in range(29, 19, -1)]
    assert [gap['before'] for gap in found['gaps']] == [f'k{i}' for i in range(10)]


def test_a_single_kernel_is_busy_without_gaps():
    found = summary([Kernel('a', 3, 5)])
    assert found['busy_share'] == 1 and found['gaps'] == []


def test_kernels_of_a_trace_know_the_operation_that_launched_them():
    trace = {
        'traceEvents': [
            {'ph': 'X', 'cat': 'cpu_op', 'name': 'aten::mm', 'ts': 0, 'dur': 9, 'args': {'External id': 7}},
            {'ph': 'X', 'cat': 'cuda_runtime', 'name': 'cudaLaunchKernel', 'ts': 1, 'dur': 1, 'args': {}},
            {'ph': 'X', 'cat': 'gpu_memcpy', 'name': 'Memcpy HtoD', 'ts': 20.5, 'dur': 2, 'args': {}},
            {'ph': 'X', 'cat': 'kernel', 'name': 'gemm' + 'x' * 500, 'ts': 4, 'dur': 3, 'args': {'External id': 7}},
            {'ph': 'X', 'cat': 'gpu_user_annotation', 'name': 'step', 'ts': 0, 'dur': 90, 'args': {}},
            {'ph': 'f', 'cat': 'ac2g', 'name': 'ac2g', 'ts': 4},
        ]
    }
    kernels = kernels_of_trace(trace)
    assert kernels == [Kernel(('gemm' + 'x' * 500)[:60], 4, 7, 'aten::mm'), Kernel('Memcpy HtoD', 20.5, 22.5)]
    assert kernels[0].label.startswith('aten::mm: gemm') and kernels[1].label == 'Memcpy HtoD'
