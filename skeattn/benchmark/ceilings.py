"""What the machine reaches at best: matrix products, convolutions, copies."""

from collections.abc import Callable
from functools import partial

import torch
from torch.nn.functional import conv2d

from skeattn.benchmark.rounds import Clock

CALLS = 5


def ceilings(clock: Clock, size: int, copied: int) -> dict[str, float]:
    """Best of some calls: GFLOP/s of products and convolutions, GB/s of a copy.

    The two use different libraries on a CPU, and either may be the faster one.

    Args:
        clock: of the device.
        size: of the square matrices; the convolution, 9x1 in channels-last layout, has a quarter as many channels.
        copied: bytes of the copy, more than the caches hold.

    Returns:
        ``matmul_`` and ``convolution_`` of ``float32`` and ``bfloat16``, and on CUDA ``matmul_tf32``; ``copy``, read
        and written bytes.
    """
    found, precision = {}, torch.get_float32_matmul_precision()
    kinds = {'float32': torch.float32, 'bfloat16': torch.bfloat16}
    if clock.device.type == 'cuda':
        kinds['tf32'] = torch.float32
    for name, dtype in kinds.items():
        torch.set_float32_matmul_precision('high' if name == 'tf32' else 'highest')
        a, b = (torch.randn(size, size, device=clock.device).to(dtype) for _ in range(2))
        found[f'matmul_{name}'] = 2 * size**3 / _best(clock, partial(torch.matmul, a, b)) / 1e9
    torch.set_float32_matmul_precision(precision)
    for name, dtype in (('float32', torch.float32), ('bfloat16', torch.bfloat16)):
        flops, run = _convolution(max(1, size // 4), clock.device, dtype)
        found[f'convolution_{name}'] = flops / _best(clock, run) / 1e9
    source = torch.ones(copied // 4, device=clock.device)
    target = torch.empty_like(source)
    found['copy'] = 2 * 4 * source.numel() / _best(clock, partial(target.copy_, source)) / 1e9
    return found


def _convolution(channels: int, device: torch.device, dtype: torch.dtype) -> tuple[int, Callable[[], object]]:
    """FLOPs and call of a convolution like those of ST-GCN's last blocks."""
    N, T, V, length = 16, 16, 25, 9
    x, weight = (
        torch.randn(shape, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
        for shape in ((N, channels, T, V), (channels, channels, length, 1))
    )
    return 2 * N * T * V * length * channels**2, partial(conv2d, x, weight, padding=(length // 2, 0))


def _best(clock: Clock, run: Callable[[], object]) -> float:
    return max(1e-9, min([clock.seconds(run) for _ in range(CALLS)][1:]))
